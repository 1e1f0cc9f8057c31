"""What is measured of the granular economy, as functions to call."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import spatialjax
from spatialjax import granular

FIRMS_PER_SECTOR = 5.0
SECTORS = 10**6
"""Sectors drawn in the Monte Carlo."""
GAMES = {2: 8192, 5: 2048, 20: 512}
"""Games solved at once, by number of firms."""
STATES = 256
"""Of the world, drawn, for games of more than three firms."""


def cournot_moments(shares, parameters):
    """A sector's second-order moments under Cournot conduct."""
    return granular.sector_moments(shares, parameters, "cournot")


def simulate(sectors: int = SECTORS):
    """Mean second-order moments of sectors that five other firms enter on average."""
    return granular.sector_averages(
        cournot_moments, FIRMS_PER_SECTOR, granular.Parameters(), key=jax.random.key(0), draws=sectors
    )


def zones():
    """Firms per sector of the embedded zones."""
    data = spatialjax.load_data("japan-zones")
    return jnp.asarray(data["establishments"].values / float(data["sectors"]))


def phi_curve(m):
    """Phi by quadrature, perfect competition."""
    return granular.production(m, granular.Parameters())


def cournot_curve(m, seed: int):
    """Phi and Psi under Cournot conduct, with a table of its own."""
    return granular.production(m, granular.Parameters(), "cournot", key=jax.random.key(seed))


def places(conduct: granular.Conduct) -> granular.Places:
    """The embedded zones."""
    data = spatialjax.load_data("japan-zones")
    return granular.calibrate(
        jnp.asarray(data["population"].values),
        jnp.asarray(data["wage"].values),
        zones(),
        granular.Parameters(),
        conduct,
    )


def solve_perturbed(economy: granular.Places) -> granular.PlacesEquilibrium:
    """The equilibrium, from a start that is off by 10 percent in firms and 30 in people."""
    rng = np.random.default_rng(0)
    noise = (0.1, 0.3) * rng.standard_normal((economy.productivity.size, 2))
    start = granular.PlacesState(
        economy.reference.log_firms + noise[:, 0], economy.reference.log_population + noise[:, 1]
    )
    return granular.solve(economy, initial=start)


def games(firms: int):
    """Shares of sectors with that many firms, and shocks."""
    rng = np.random.default_rng(firms)
    tail = float(granular.Parameters().size_tail)
    size = rng.random((GAMES[firms], firms)) ** (-1 / tail)
    parameters = granular.Parameters()
    if firms <= 3:
        shocks = granular.hermite_shocks(parameters, firms)
    else:
        shocks = granular.drawn_shocks(parameters, firms, STATES, key=jax.random.key(0))
    return jnp.asarray(size / size.sum(1, keepdims=True)), shocks


@partial(jax.jit, static_argnums=2)
def play(shares, shocks, batch: int = 256):
    """Solve every game under Cournot conduct."""
    parameters = granular.Parameters()
    return jax.lax.map(
        lambda one: granular.solve_game(one, parameters, "cournot", shocks=shocks), shares, batch_size=batch
    )
