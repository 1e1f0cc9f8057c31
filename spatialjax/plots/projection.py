"""Map projections: Albers equal-area conic for the United States, with Alaska and Hawaii as insets.

Source: Snyder, J. P. (1987), Map Projections: A Working Manual, US Geological Survey Professional Paper
1395, pages 98-103 (Albers, sphere, equations 14-1 to 14-6) and 90-91 (equirectangular).
"""

import json
from dataclasses import dataclass
from importlib import resources

import numpy as np

Array = np.ndarray

EARTH_RADIUS = 6371.0
"""Mean radius of the earth, km."""


@dataclass(frozen=True)
class Albers:
    """An Albers equal-area conic projection of the sphere, scaled and moved on the page.

    Angles in degrees. `scale` multiplies lengths; the projected origin lands at `offset` (km).
    """

    parallels: tuple[float, float]
    latitude: float
    longitude: float
    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)

    @property
    def cone(self) -> float:
        """The cone constant, n = (sin phi1 + sin phi2) / 2 (Snyder eq. 14-6)."""
        return float(np.sin(np.radians(self.parallels)).mean())

    def radius(self, latitude: Array) -> Array:
        """Radius of a parallel, rho = R sqrt(C - 2 n sin phi) / n, in km (Snyder eqs. 14-3, 14-5)."""
        first = np.radians(self.parallels[0])
        constant = np.cos(first) ** 2 + 2 * self.cone * np.sin(first)
        return EARTH_RADIUS * np.sqrt(constant - 2 * self.cone * np.sin(np.radians(latitude))) / self.cone

    def project(self, longitude: Array, latitude: Array) -> tuple[Array, Array]:
        """Position in km: x = rho sin theta, y = rho0 - rho cos theta (Snyder eqs. 14-1, 14-2).

        theta = n (lambda - lambda0) (Snyder eq. 14-4), with longitudes within 180 degrees of the central
        meridian, so that what crosses the antimeridian stays in one piece.
        """
        angle = self.cone * np.radians(wrap(np.asarray(longitude, float) - self.longitude))
        radius, origin = self.radius(np.asarray(latitude, float)), self.radius(np.asarray(self.latitude))
        x = self.offset[0] + self.scale * radius * np.sin(angle)
        y = self.offset[1] + self.scale * (origin - radius * np.cos(angle))
        return x, y


REGIONS = {
    "lower 48": Albers(parallels=(29.5, 45.5), latitude=37.5, longitude=-96.0),
    "Alaska": Albers((55.0, 65.0), latitude=62.0, longitude=-154.0, scale=0.32, offset=(-1660.0, -1130.0)),
    "Hawaii": Albers((8.0, 18.0), latitude=20.6, longitude=-157.5, offset=(-820.0, -1260.0)),
}
"""Projection by region, with the parallels of the US Geological Survey's maps; Alaska at 0.32 of scale."""

INSET_FRAMES = {
    "Alaska": np.array([(-2420.0, -730.0), (-1480.0, -730.0), (-1140.0, -980.0), (-1140.0, -1480.0)]),
    "Hawaii": np.array([(-1140.0, -1050.0), (-780.0, -1050.0), (-490.0, -1250.0), (-490.0, -1480.0)]),
}
"""Open lines (x, y), km, that set each inset apart from the mainland."""

STATE_REGIONS = {"Alaska": "Alaska", "Hawaii": "Hawaii"}
"""The region of the states that are not in the lower 48."""


def wrap(longitude: Array) -> Array:
    """Longitude in [-180, 180), degrees."""
    return (np.asarray(longitude, float) + 180.0) % 360.0 - 180.0


def us_region(longitude: Array, latitude: Array) -> Array:
    """The region of `REGIONS` in whose bounding box each point lies; an empty string in none of them."""
    east, north = wrap(longitude), np.asarray(latitude, float)
    lower = (east > -125.5) & (east < -66.0) & (north > 24.0) & (north < 50.0)
    alaska = ((east < -129.0) | (east > 172.0)) & (north > 51.0) & (north < 72.0)
    hawaii = (east > -179.0) & (east < -154.0) & (north > 18.0) & (north < 29.0)
    return np.select([lower, alaska, hawaii], ["lower 48", "Alaska", "Hawaii"], default="")


def in_united_states(longitude: Array, latitude: Array) -> bool:
    """Whether every point is in the bounding box of the lower 48, of Alaska or of Hawaii."""
    return bool(np.all(us_region(longitude, latitude) != ""))


def project_us(longitude: Array, latitude: Array) -> tuple[Array, Array]:
    """Position on the map of the United States, in km; Alaska and Hawaii in insets at the lower left.

    Areas are true, but for Alaska, drawn at 0.1 (0.32 squared) of its area. Points outside the
    three bounding boxes have no position (NaN).
    """
    east, north = np.broadcast_arrays(np.asarray(longitude, float), np.asarray(latitude, float))
    region = us_region(east, north)
    x, y = np.full(east.shape, np.nan), np.full(east.shape, np.nan)
    for name, projection in REGIONS.items():
        inside = region == name
        x[inside], y[inside] = projection.project(east[inside], north[inside])
    return x, y


def equirectangular(longitude: Array, latitude: Array) -> tuple[Array, Array, float]:
    """Longitude and latitude in degrees, and the ratio of a degree north to one east on the page.

    The equirectangular projection with true scale at the mean latitude (Snyder 1987, page 90).
    Longitudes are continued beyond 180 where the points straddle the antimeridian.
    """
    east, north = np.radians(np.asarray(longitude, float)), np.asarray(latitude, float)
    centre = np.degrees(np.angle(np.exp(1j * east).mean()))
    return centre + wrap(np.degrees(east) - centre), north, float(1 / np.cos(np.radians(north.mean())))


def state_outlines() -> dict[str, list[Array]]:
    """Outlines of the US states by name: rings of points (x, y) as [`project_us`][] places them, km."""
    text = (resources.files("spatialjax.data") / "us_states.json").read_text(encoding="utf-8")
    states: dict[str, list[list[list[float]]]] = json.loads(text)
    return {state: [_project_ring(state, ring) for ring in rings] for state, rings in states.items()}


def _project_ring(state: str, ring: list[list[float]]) -> Array:
    longitude, latitude = np.asarray(ring, float).T
    projection = REGIONS[STATE_REGIONS.get(state, "lower 48")]
    return np.column_stack(projection.project(longitude, latitude))
