"""Every differentiable leaf of an economy, an admissible direction in it, and its finite difference."""

import jax.numpy as jnp
import numpy as np

LEAVES = {
    "spillover_share": lambda e: e.spillover.share,
    "spillover_size": lambda e: e.spillover.size,
    "fundamental_productivity": lambda e: e.fundamental_productivity,
    "amenity": lambda e: e.amenity,
    "trade_elasticity": lambda e: e.trade_elasticity,
    "location_elasticity": lambda e: e.location_elasticity,
    "occupation_substitution": lambda e: e.occupation_substitution,
    "consumption_share": lambda e: e.consumption_share,
    "value_added_share": lambda e: e.value_added_share,
    "land_share": lambda e: e.land_share,
    "input_links": lambda e: e.input_links.mix,
    "log_iceberg_cost": lambda e: e.log_iceberg_cost,
    "land": lambda e: e.land,
    "population": lambda e: e.population,
    "wage_bill": lambda e: e.wage_bill,
}


def direction(name, leaf, size=1.0):
    """A direction that keeps the leaf admissible: shares keep their sums, empty cells stay empty."""
    noise = jnp.asarray(np.random.default_rng(3).uniform(0.5, 1.5, leaf.shape))
    if name in ("consumption_share", "input_links"):
        return size * leaf * (noise - (noise * leaf).sum(0))
    if name == "land_share":
        return leaf * (1 - leaf) * noise
    if name == "log_iceberg_cost":
        return jnp.where(jnp.isfinite(leaf), size * noise, 0.0)
    return size * leaf * noise


def along(cotangent, step):
    """The implicit derivative along a direction; every element of the gradient must be finite."""
    assert np.isfinite(np.asarray(cotangent)).all()
    return float(jnp.where(step != 0, cotangent * step, 0.0).sum())


def central_difference(function, h):
    """Fourth-order central difference at zero."""
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)
