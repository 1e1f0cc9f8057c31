"""The economy: what is given to a solve."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from spatialjax.cities.accounts import MendedSector
from spatialjax.cities.input_links import InputLinks
from spatialjax.cities.location import FreeMobility, Mobility
from spatialjax.cities.preferences import MultiplicativeAmenities, Preferences
from spatialjax.cities.spillovers import NoAmenitySpillover
from spatialjax.cities.state import State
from spatialjax.cities.trade import TradeCosts
from spatialjax.typing import (
    ByCity,
    ByOccupation,
    CityOccupation,
    CityOccupationSector,
    CitySector,
    Scalar,
    SectorCityOrigin,
)


class Labels(eqx.Module):
    """Names of cities, occupations and sectors, for messages and files."""

    city: tuple[str, ...] = eqx.field(static=True)
    occupation: tuple[str, ...] = eqx.field(static=True)
    sector: tuple[str, ...] = eqx.field(static=True)


class Economy(eqx.Module):
    """Fundamentals and parameters of a city economy (CH section 3).

    Every array is a leaf: `equinox.tree_at` changes it and `jax.grad` differentiates in it.

    - `spillover`: callable module, employment (city, occupation) in workers -> shift of log
      productivity, broadcastable to (city, occupation, sector).
    - `fundamental_productivity`: exogenous labour-augmenting productivity, lambda-hat; 0 where an
      occupation is not employed in a sector of a city.
    - `amenity`: A; 0 where an occupation does not live in a city.
    - `trade_elasticity`: theta, a scalar or by sector. `location_elasticity`: nu > 1.
      `occupation_substitution`: epsilon, not 1.
    - `consumption_share`: alpha, by sector, by occupation and sector, or by city, occupation (or one for all) and
      sector; sums to 1 over sectors.
    - `value_added_share`: gamma. `land_share`: share of land in value added, beta.
    - `input_links`: how a sector's inputs are mixed ([`NationalInputMix`][], [`CityInputMix`][]).
    - `log_iceberg_cost`: log kappa[sector, city, origin], infinite where there is no trade; or a module of which a
      solve makes products without such an array ([`DistanceCosts`][]).
    - `land`: effective land and structures, H; 0 where no sector uses land.
    - `population`: workers by occupation.
    - `wage_bill`: the numeraire, total wage bill in dollars a year.
    - `reference`: the state from which a solve starts unless told otherwise (for an inverted economy,
      its data); it has no influence on the solution but the choice among several.
    - `traded`: positions of the traded sectors; the others buy from their own city alone.
    - `labels`: names for messages.
    - `preferences`: how consumption and amenities make utility ([`MultiplicativeAmenities`][],
      [`AdditiveAmenities`][]).
    - `amenity_spillover`: callable module, employment (city, occupation) in workers -> shift of log amenity
      (city, occupation); a city's amenities may depend on its own workers only.
    - `mobility`: where workers may live: anywhere ([`FreeMobility`][]), within groups of cities
      ([`MobilityWithinGroups`][], [`PerfectMobility`][]), or where they are ([`FixedEmployment`][]).
    - `tariff`: ad valorem rate on what a city buys from an origin, tau[sector, city, origin], 0 at home; what it
      raises goes to the workers of the city that charges it. None where there are none.
    - `mended`: sectors whose value-added share calibration changed (see [`build_accounts`][]).
    """

    spillover: Any
    fundamental_productivity: CityOccupationSector
    amenity: CityOccupation
    trade_elasticity: Float[Array, "*sector"]
    location_elasticity: Scalar
    occupation_substitution: Scalar
    consumption_share: Float[Array, "*city_and_occupation sector"]
    value_added_share: CitySector
    land_share: CitySector
    input_links: InputLinks
    log_iceberg_cost: SectorCityOrigin | TradeCosts
    land: ByCity
    population: ByOccupation
    wage_bill: Scalar
    reference: State
    traded: tuple[int, ...] = eqx.field(static=True)
    labels: Labels
    mended: tuple[MendedSector, ...] = eqx.field(static=True, default=())
    preferences: Preferences = MultiplicativeAmenities()
    amenity_spillover: Any = NoAmenitySpillover()
    mobility: Mobility = FreeMobility()
    tariff: SectorCityOrigin | None = None
