"""Several sectors that use land: inversion recovers the economy, and the accounts add up."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from economies import data_from, random_economy

import spatialjax as sj

LAND_SHARE = np.array([0.25, 0.0, 0.0, 0.15])
"""Of a traded sector and of one that is not; housing is sector 1."""


@pytest.fixture(scope="module")
def truth():
    economy = random_economy(seed=3)
    share = np.where(np.arange(4) == 1, np.asarray(economy.land_share), LAND_SHARE)
    return eqx.tree_at(lambda e: e.land_share, economy, jnp.asarray(share))


@pytest.fixture(scope="module")
def data(truth):
    found = data_from(truth, sj.solve(truth, tolerance=1e-12))
    uses_land = np.arange(4) == 1
    price = np.asarray(found["nontradable_price"])[:, 1]
    return found.assign(
        uses_land=("sector", uses_land),
        land_share=("sector", LAND_SHARE),
        housing_price=("city", price),
    )


def test_inversion_recovers_shares_and_equilibrium(truth, data):
    options = {
        "housing_share": float(truth.consumption_share[1]),
        "minimum_consumption_share": None,
    }
    economy = sj.invert(
        data,
        trade_elasticity=4.0,
        location_elasticity=2.0,
        spillover=truth.spillover,
        **options,
    )
    produced = np.asarray(economy.fundamental_productivity).sum(1) > 0
    np.testing.assert_allclose(
        np.where(produced, economy.land_share, 0),
        np.where(produced, truth.land_share, 0),
        atol=1e-9,
    )
    np.testing.assert_allclose(economy.value_added_share, truth.value_added_share, rtol=1e-8)
    np.testing.assert_allclose(economy.consumption_share, truth.consumption_share, rtol=1e-8)
    again = sj.solve(economy)
    np.testing.assert_allclose(again.employment_by_sector, data["employment"], rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(again.land_income, sj.solve(truth).land_income, rtol=1e-7)
    # The same economy in other units: what it answers to a shock is the same.
    shocked = [
        eqx.tree_at(lambda e: e.amenity, e, e.amenity * jnp.array([[1.3]] + [[1.0]] * 4)) for e in (economy, truth)
    ]
    found, wanted = (sj.solve(e) for e in shocked)
    np.testing.assert_allclose(found.employment, wanted.employment, rtol=1e-6)


def test_bad_land_shares_are_refused_by_name(data):
    bad = data.assign(land_share=("sector", [0.2, 0.0, 1.0, 0.1]))
    with pytest.raises(
        sj.errors.DataError,
        match="variable land_share must be zero or positive and below 1",
    ):
        sj.invert(bad)
