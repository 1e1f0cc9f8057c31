"""Distance elasticities from mean distances of shipments: the truth is recovered from data that were made with it."""

import numpy as np
import pytest

import spatialjax as sj
from spatialjax.cities.distance import distances
from spatialjax.cities.flows import expenditure_share
from spatialjax.estimation.trade_distances import calibrate_distance_elasticities, mean_trade_distances
from spatialjax.sources.examples import archipelago

GOODS = ["fish", "machines", "textiles"]


def test_mean_distances_are_those_of_the_inverted_economy():
    data = archipelago()
    economy = sj.invert(data, spillover=sj.NoSpillover())
    equilibrium = sj.solve(economy)
    flows = np.asarray(expenditure_share(economy, equilibrium) * equilibrium.expenditure.T[:, :, None])
    wanted = (flows * distances(data)).sum((1, 2)) / flows.sum((1, 2))
    found = mean_trade_distances(data)
    np.testing.assert_allclose(found, wanted[list(economy.traded)], rtol=1e-8)


@pytest.mark.parametrize("own_city", [True, False])
def test_the_truth_is_recovered(own_city):
    truth = archipelago()
    miles = 1.2 * mean_trade_distances(truth, own_city=own_city)[GOODS]
    wrong = truth.assign(distance_elasticity=truth["distance_elasticity"] * 0.4 + 0.7)
    data, table = calibrate_distance_elasticities(wrong, miles.to_dict(), own_city=own_city, circuity=1.2)
    by_name = truth["distance_elasticity"].sel(sector=GOODS)
    np.testing.assert_allclose(table["elasticity"], by_name, rtol=1e-6)
    np.testing.assert_allclose(data["distance_elasticity"].sel(sector=GOODS), by_name, rtol=1e-6)
    np.testing.assert_allclose(table["after"], miles, rtol=1e-8)
    assert table["reached"].all()
    unchanged = wrong["distance_elasticity"].sel(sector="finance")
    assert data["distance_elasticity"].sel(sector="finance") == unchanged


def test_what_cannot_be_is_said():
    data, table = calibrate_distance_elasticities(archipelago(), {"fish": 1e5, "textiles": 200.0})
    assert table["reached"].tolist() == [False, True]
    assert float(data["distance_elasticity"].sel(sector="fish")) == 1.1
    with pytest.raises(sj.errors.ModelError, match="housing: no traded sector of that name"):
        calibrate_distance_elasticities(archipelago(), {"housing": 100.0})
    with pytest.raises(sj.errors.ModelError, match="miles of fish must be positive"):
        calibrate_distance_elasticities(archipelago(), {"fish": -1.0})
