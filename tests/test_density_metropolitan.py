"""Premia over places: pooled years, the embedded tables, and two-stage least squares."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from drawn_panels import drawn_panel

from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.density.metropolitan import (
    instrumented_premium,
    metropolitan_premia,
    metropolitan_premium,
    metropolitan_scatter,
    place_earnings,
    place_years,
)
from spatialjax.errors import DataError


def drawn_places(seed=0, number=400, confounded=0.0):
    """Places whose log earnings are 0.08 log density + 0.5 college share; both are moved by climate and terrain."""
    rng = np.random.default_rng(seed)
    climate, terrain, luck = rng.normal(size=(3, number))
    log_density = 5 + 0.6 * climate + 0.3 * terrain + luck
    college = 0.2 + 0.02 * climate - 0.05 * terrain + 0.02 * rng.normal(size=number)
    level = 9 + 0.08 * log_density + 0.5 * college + confounded * luck + rng.normal(0, 0.05, number)
    table = pd.DataFrame(
        {"density": np.exp(log_density), "college_share": college}, pd.RangeIndex(number, name="place")
    )
    for year, shift in {1992: 0.0, 1997: 0.1}.items():
        table[f"earnings_{year}"] = np.exp(level + shift + rng.normal(0, 0.02, number))
    return table.assign(january_sun=climate, topography=terrain)


def test_pooled_years_have_effects_and_clusters():
    places = place_years(drawn_places())
    fit = metropolitan_premium(places, college=True)
    x = sm.add_constant(places[["log_density", "college_share"]].assign(later=places["year"] == 1997).astype(float))
    expected = sm.OLS(places["log_earnings"], x).fit(cov_type="cluster", cov_kwds={"groups": places["place"]})
    for name in ("log_density", "college_share"):
        assert fit.coefficients[name] == pytest.approx(expected.params[name], abs=1e-9)
        assert fit.standard_errors[name] == pytest.approx(expected.bse[name], rel=2e-3)
    assert abs(fit.coefficients["log_density"] - 0.08) < 3 * fit.standard_errors["log_density"]


def test_embedded_msas_of_ff_years():
    places = place_years(msa_table())
    assert metropolitan_premium(places).coefficients["log_density"] == pytest.approx(0.101, abs=5e-4)
    fit = metropolitan_premium(places, college=True)
    assert fit.coefficients["log_density"] == pytest.approx(0.094, abs=5e-4)
    assert fit.coefficients["college_share"] == pytest.approx(0.53, abs=5e-3)
    assert (fit.observations, fit.clusters) == (606, 303)


def test_embedded_cbsas_by_year():
    cbsas = cbsa_table()
    places = place_years(cbsas, [2001])
    assert metropolitan_premium(places).coefficients["log_density"] == pytest.approx(0.111, abs=5e-4)
    fit = metropolitan_premium(places, college=True)
    assert fit.coefficients["log_density"] == pytest.approx(0.101, abs=5e-4)
    slope = np.polyfit(np.log(cbsas["density"]), np.log(cbsas["earnings_2007"]), 1)[0]
    found = metropolitan_premium(place_years(cbsas, [2007])).coefficients["log_density"]
    assert found == pytest.approx(slope, abs=1e-9)


def test_two_stages_recover_what_least_squares_does_not():
    places = place_years(drawn_places(1, confounded=0.1))
    biased = metropolitan_premium(places, college=True)
    assert biased.coefficients["log_density"] - 0.08 > 10 * biased.standard_errors["log_density"]
    found = instrumented_premium(places, ["january_sun", "topography"])
    for name, truth in {"log_density": 0.08, "college_share": 0.5}.items():
        assert abs(found.coefficients[name] - truth) < 3 * found.standard_errors[name]


def test_two_stages_leave_out_places_without_instruments():
    table = drawn_places(2)
    table.loc[:9, "topography"] = np.nan
    found = instrumented_premium(place_years(table), ["january_sun", "topography"])
    assert (found.observations, found.clusters["place"]) == (780, 390)
    with pytest.raises(DataError, match="instrument soil is missing"):
        instrumented_premium(place_years(table), ["soil"])


def test_places_of_a_panel_average_establishments():
    panel, cbsas = drawn_panel(3, number=6000)
    places = place_earnings(panel, cbsas)
    row = places.iloc[7]
    own = panel[(panel["cbsa"] == row["place"]) & (panel["year"] == row["year"])]
    assert row["log_earnings"] == pytest.approx(np.log(own["earnings"].mean()))
    assert row["establishments"] == len(own)
    assert row["log_density"] == pytest.approx(np.log(cbsas["density"][row["place"]]))
    assert len(places) == 24
    fit = metropolitan_premium(places, college=True)
    assert fit.coefficients["log_density"] == pytest.approx(0.07, abs=4 * fit.standard_errors["log_density"])


def test_scatter_has_the_slope_of_the_pooled_years():
    places = place_years(drawn_places(4))
    scatter = metropolitan_scatter(places)
    slope = metropolitan_premium(places).coefficients["log_density"]
    assert scatter.fit.coefficients["log_density"] == pytest.approx(slope, abs=1e-10)
    x, y = scatter.points["log_density"], scatter.points["log_earnings"]
    assert scatter.fit.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    np.testing.assert_allclose(scatter.line(x).mean(), y.mean())


def test_premia_have_ff_beside_least_squares():
    table = metropolitan_premia({"drawn": drawn_places(5)})
    assert len(table) == 8
    pooled = table.query("years == 'all' and estimator == 'ols'").set_index("specification")
    assert pooled["published_density"].to_dict() == {"density": 0.081, "density and college": 0.078}
    assert table.query("estimator == '2sls'")["published_density"].isna().all()
    by_year = table.query("years == '1992' and specification == 'density'").iloc[0]
    expected = metropolitan_premium(place_years(drawn_places(5), [1992]))
    assert by_year["density"] == pytest.approx(expected.coefficients["log_density"])
    assert by_year["observations"] == 400


def test_bad_tables_are_named():
    table = drawn_places(6, number=20)
    with pytest.raises(DataError, match="earnings_2020 is missing"):
        place_years(table, [2020])
    with pytest.raises(DataError, match="not above zero in 1 rows"):
        place_years(table.assign(density=table["density"].where(table.index > 0)))
    with pytest.raises(DataError, match="no column earnings"):
        place_years(table[["density", "college_share"]])
