"""Solved economies beside FF's facts: matching of cities, elasticities of wages, parts of a zone's wage."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from drawn_panels import drawn_cbsas

import spatialjax as sj
from spatialjax.density.bridge import (
    city_premia,
    city_premium,
    city_table,
    log_earnings_by_cbsa,
    match_cbsas,
    zone_premium,
)
from spatialjax.density.cbsas import cbsa_table
from spatialjax.errors import DataError


def city_result(seed=0, elasticity=0.05, skill=0.4, cities=12):
    """Cities of two occupations with the codes of drawn CBSAs, whose mean log wage is known."""
    rng = np.random.default_rng(seed)
    cbsas = drawn_cbsas(cities)
    total = np.exp(rng.normal(11, 1, cities))
    share = 0.3 + 0.1 * rng.random(cities)
    mean = np.exp(10 + elasticity * np.log(total) + skill * share)
    employment = np.column_stack([share, 1 - share]) * total[:, None]
    low = mean / (1 + share)
    variables = {"wage": np.column_stack([2 * low, low]), "employment": employment}
    coordinates = {"city": cbsas.index.astype(str).to_numpy(), "occupation": ["CNR", "non-CNR"]}
    return xr.Dataset({name: (("city", "occupation"), value) for name, value in variables.items()}, coordinates), cbsas


def rows(table, **keys):
    return table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].iloc[0]


class TestMatching:
    def test_by_code_then_by_title(self):
        cbsas = pd.DataFrame(
            {"title": ["Los Angeles-Long Beach, CA", "Bloomington-Normal, IL", "Lima, OH"]}, index=[31100, 14060, 30620]
        )
        found = match_cbsas(
            np.array(["31080", "14010", "30620", "14020"]),
            np.array(["Los Angeles-Anaheim, CA", "Bloomington, IL", "Lima, OH", "Bloomington, IN"]),
            cbsas,
        )
        assert list(found["cbsa"]) == [31100, 14060, 30620, -1]
        assert list(found["matched"]) == ["title", "title", "code", ""]

    def test_a_title_is_used_once_and_only_if_it_is_clear(self):
        cbsas = pd.DataFrame({"title": ["Aville-Beeton, TX", "Ceeburg, TX", "Deeford, TX"]}, index=[1, 2, 3])
        titles = np.array(["Aville, TX", "Beeton, TX", "Ceeburg-Deeford, TX"])
        found = match_cbsas(np.array(["10", "11", "12"]), titles, cbsas)
        assert list(found["cbsa"]) == [1, -1, -1]

    def test_embedded_metros(self):
        data = sj.load_data("us-metros")
        found = city_table(data, cbsa_table())
        assert found["matched"].value_counts().to_dict() == {"code": 348, "": 27, "title": 7}
        codes = found["cbsa"][found["matched"] != ""]
        assert codes.is_unique
        assert found.set_index("title").loc["Urban Honolulu, HI", "cbsa"] == 26180


class TestCities:
    def test_elasticity_given_the_skill_share_is_exact(self):
        result, cbsas = city_result()
        row = rows(city_premium(result, cbsas), size="employment", specification="mean wage, skill share")
        assert row["elasticity"] == pytest.approx(0.05, abs=1e-10)
        assert row["skill_share"] == pytest.approx(0.4, abs=1e-10)
        assert row["r_squared"] == pytest.approx(1)

    def test_slopes_are_those_of_least_squares(self):
        result, cbsas = city_result(1)
        table, places = city_premium(result, cbsas), city_table(result, cbsas)
        for size in ("density", "employment"):
            slope = np.polyfit(places[f"log_{size}"], places["log_wage"], 1)[0]
            assert rows(table, size=size, specification="mean wage")["elasticity"] == pytest.approx(slope, abs=1e-10)
        by_occupation = np.polyfit(places["log_employment"], np.log(result["wage"].values).mean(1), 1)[0]
        row = rows(table, size="employment", specification="by occupation")
        assert row["elasticity"] == pytest.approx(by_occupation, abs=1e-10)

    def test_data_of_the_embedded_metros(self):
        data = sj.load_data("us-metros")
        table = city_premium(data)
        workers = data["employment"].sum("sector")
        mean = np.log((data["wage"] * workers).sum("occupation") / workers.sum("occupation"))
        slope = np.polyfit(np.log(workers.sum("occupation")), mean, 1)[0]
        assert rows(table, specification="mean wage")["elasticity"] == pytest.approx(slope, abs=1e-10)
        assert slope == pytest.approx(0.0559, abs=5e-5)

    def test_occupations_that_nobody_has_do_not_count(self):
        result, cbsas = city_result(2)
        result["employment"][3, 0] = 0.0
        result["wage"][3, 0] = np.nan
        result["employment"][5] = 0.0
        table = city_table(result, cbsas)
        assert len(table) == 11
        assert table["log_wage"][3] == pytest.approx(np.log(result["wage"].values[3, 1]))
        assert table["skill_share"][3] == 0
        assert np.isfinite(city_premium(result, cbsas)["elasticity"]).all()

    def test_allocations_are_set_beside_each_other(self):
        (first, cbsas), (second, _) = city_result(3, 0.05), city_result(3, -0.1)
        table = city_premia({"equilibrium": first, "without externalities": second}, cbsas)
        keys = {"size": "employment", "specification": "mean wage, skill share"}
        for name, truth in {"equilibrium": 0.05, "without externalities": -0.1}.items():
            assert rows(table, allocation=name, **keys)["elasticity"] == pytest.approx(truth, abs=1e-10)
        published = rows(table, allocation="equilibrium", size="density", specification="mean wage")["published"]
        assert published == 0.081

    def test_log_earnings_for_a_simulated_panel(self):
        result, cbsas = city_result(4)
        found = log_earnings_by_cbsa(result, cbsas.drop(index=10020))
        assert 10020 not in found.index
        mean = city_table(result)["log_wage"].drop(index=1)
        np.testing.assert_allclose(found, mean - mean.mean())

    def test_results_that_cannot_be_read(self):
        result, cbsas = city_result()
        with pytest.raises(DataError, match="variable wage is missing"):
            city_premium(result.drop_vars("wage"))
        with pytest.raises(DataError, match="density is known in 0 of 12 cities"):
            city_premium(result, cbsas.set_index(cbsas.index + 1).rename_axis("cbsa"))


class TestZones:
    @pytest.fixture(scope="class")
    @staticmethod
    def result():
        """Places whose wage is built from KO's equation with eta = 0.13."""
        rng = np.random.default_rng(7)
        log_people = rng.normal(11, 1, 80)
        log_firms = -8 + 0.9 * log_people + rng.normal(0, 0.1, 80)
        phi, psi = 1.05 + 0.004 * log_people, -0.003 * np.ones(80)
        productivity = np.exp(0.1 * log_people + rng.normal(0, 0.05, 80))
        wage = (1 - 0.13) * productivity * np.exp(0.13 * (log_firms - log_people)) * (phi + psi)
        values = {"population": np.exp(log_people), "firms": np.exp(log_firms), "wage": wage, "phi": phi, "psi": psi}
        values |= {"productivity": productivity, "wage_elasticity": np.full(80, 0.005)}
        return xr.Dataset({name: ("zone", value) for name, value in values.items()})

    def test_parts_add_up(self, result):
        table = zone_premium(result)
        for size in ("population", "firms"):
            slopes = table[table["size"] == size].set_index("part")["elasticity"]
            parts = slopes[["productivity", "firms per worker", "granularity"]].sum()
            assert slopes["wage"] == pytest.approx(parts, abs=1e-12)

    def test_firms_per_worker_count_by_the_share_of_profits(self, result):
        ratio = 0.13 * np.log(result["firms"] / result["population"])
        slope = np.polyfit(np.log(result["population"]), ratio, 1)[0]
        found = rows(zone_premium(result), size="population", part="firms per worker")
        assert found["elasticity"] == pytest.approx(slope, abs=1e-12)

    def test_mechanism_and_published(self, result):
        table = zone_premium(result)
        assert rows(table, part="mechanism")["elasticity"] == pytest.approx(0.005)
        assert rows(table, size="population", part="wage")["published"] == 0.056
        assert "mechanism" not in set(zone_premium(result.drop_vars("wage_elasticity"))["part"])

    def test_missing_variables_are_named(self, result):
        with pytest.raises(DataError, match="variable phi is missing"):
            zone_premium(result.drop_vars("phi"))
