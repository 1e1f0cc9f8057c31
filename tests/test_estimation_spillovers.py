"""Externalities of cities estimated: known truth, regressions written out, tables, and refusals."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from economies import data_from, random_economy
from linearmodels.iv import IV2SLS

import spatialjax as sj
from spatialjax.cities.spillovers import SECTORAL_HUBS_SHARE
from spatialjax.errors import DataError, EstimationWarning, ModelError
from spatialjax.estimation import tables
from spatialjax.estimation.instruments import Employment, log_productivity, model_instruments
from spatialjax.estimation.spillover_panel import spillover_panel
from spatialjax.estimation.spillovers import spillovers

CITIES, SECTORS = 40, 6
SHARE, SIZE = (0.3, 0.2), (0.1, 0.05)
GROUPS = ["goods", "land", "goods", "local", "services", "services"]
pytestmark = pytest.mark.filterwarnings("ignore::spatialjax.errors.EstimationWarning")


def alike_in_sectors(share, size):
    """CH's externalities as SH's, so that all economies here are of one type and compile once."""
    return sj.IndustrySpillover(np.outer(share, np.ones(SECTORS)), np.outer(size, np.ones(SECTORS)))


def economy(seed, spillover, city_spread, cell_spread, amenity_spread=0.4):
    """Exogenous productivity that is independent of amenities, and the equilibrium as reference."""
    rng = np.random.default_rng(100 + seed)
    found = random_economy(CITIES, SECTORS, 2, seed=seed, spillover=spillover, empty_cells=5)
    log_productivity = rng.normal(0, 0.3, (1, 2, SECTORS)) + rng.normal(0, city_spread, (CITIES, 2, 1))
    productivity = np.exp(log_productivity + rng.normal(0, cell_spread, (CITIES, 2, SECTORS)))
    productivity = np.where(np.asarray(found.fundamental_productivity) > 0, productivity, 0.0)
    amenity = np.exp(rng.normal(0, amenity_spread, (CITIES, 2)))
    found = eqx.tree_at(
        lambda e: (e.fundamental_productivity, e.amenity), found, (jnp.asarray(productivity), jnp.asarray(amenity))
    )
    return eqx.tree_at(lambda e: e.reference, found, sj.solve(found, tolerance=1e-12).state())


@pytest.fixture(scope="module")
def alike():
    """Cities differ in productivity by externalities alone."""
    return economy(0, alike_in_sectors(SHARE, SIZE), 0.0, 0.0)


@pytest.fixture(scope="module")
def by_industry():
    share = np.array([[0.3, 0, 0.3, 0, 0.1, 0.1], [0.2, 0, 0.2, 0, 0.4, 0.4]])
    return economy(0, sj.IndustrySpillover(share, np.outer([1, 1], [0.1, 0, 0.1, 0, 0.05, 0.05])), 0.0, 0.0)


@pytest.fixture(scope="module")
def noisy():
    return economy(1, alike_in_sectors(SHARE, SIZE), 0.05, 0.1)


@pytest.fixture(scope="module")
def instruments(noisy):
    return model_instruments(noisy)


def historical(city_economy, seed=0):
    """Columns of a user, by city: three instruments, a control and a division."""
    rng = np.random.default_rng(seed)
    log_amenity = np.log(np.asarray(city_economy.amenity))
    return pd.DataFrame(
        {
            "early": log_amenity[:, 0] + 0.3 * rng.normal(size=CITIES),
            "later": log_amenity[:, 1] + 0.3 * rng.normal(size=CITIES),
            "sum": log_amenity.sum(1) + 0.3 * rng.normal(size=CITIES),
            "climate": rng.normal(size=CITIES),
            "division": np.arange(CITIES) % 4,
        },
        index=list(city_economy.labels.city),
    )


@pytest.mark.parametrize("estimator", ["ols", "2sls", "cue"])
def test_externalities_alone_are_recovered_exactly(alike, estimator):
    found = spillovers(alike, estimator=estimator)
    np.testing.assert_allclose(found.share.loc["all"], SHARE, atol=1e-7)
    np.testing.assert_allclose(found.size.loc["all"], SIZE, atol=1e-7)


def test_externalities_by_industry_are_recovered_exactly(by_industry):
    found = spillovers(by_industry, by="group", groups=GROUPS)
    np.testing.assert_allclose(found.share.loc["goods"], [0.3, 0.2], atol=1e-7)
    np.testing.assert_allclose(found.share.loc["services"], [0.1, 0.4], atol=1e-7)
    np.testing.assert_allclose(found.size.loc[["goods", "services"]], [[0.1, 0.1], [0.05, 0.05]], atol=1e-7)
    np.testing.assert_allclose(found.spillover().share, by_industry.spillover.share, atol=1e-7)
    np.testing.assert_allclose(found.spillover().size, by_industry.spillover.size[0], atol=1e-7)
    named = spillovers(by_industry, by="group", groups=dict(zip(by_industry.labels.sector, GROUPS, strict=True)))
    pd.testing.assert_frame_equal(named.share, found.share)


def test_cells_without_employment_are_left_out_and_counted(alike):
    found = spillovers(alike, estimator="ols")
    empty = (np.asarray(alike.fundamental_productivity)[:, :, list(alike.traded)] == 0).sum((0, 2))
    assert list(found.left_out.values()) == list(empty)
    assert min(empty) > 0
    for regression, cells in zip(found.regressions.values(), empty, strict=True):
        assert regression.observations == CITIES * len(alike.traded) - cells


def test_exogenous_productivity_that_is_random_leaves_the_truth_within_errors(noisy, instruments):
    found = spillovers(noisy, instruments=instruments, clusters="city")
    for k, regression in enumerate(found.regressions.values()):
        gap = np.abs(regression.coefficients - [SHARE[k], SIZE[k]])
        assert (gap < 3 * regression.standard_errors).all()
        assert (regression.standard_errors < 0.07).all()
        assert regression.first_stage.kleibergen_paap > 10


def test_without_externalities_least_squares_are_biased_and_instruments_less():
    """The logic of CH Table A8: workers go where exogenous productivity is high."""
    names = ("ols", "2sls")
    found = {name: [] for name in names}
    for seed in range(8):
        drawn = economy(seed, alike_in_sectors((0, 0), (0, 0)), 0.25, 0.1, amenity_spread=0.3)
        for name in names:
            estimates = spillovers(drawn, estimator=name, clusters="city")
            found[name].append([*estimates.share.loc["all"], *estimates.size.loc["all"]])
    mean, error = (pd.DataFrame({n: f(np.array(found[n]), axis=0) for n in names}) for f in (np.mean, np.std))
    assert (mean["ols"] > 2 * error["ols"] / np.sqrt(7)).all()
    assert (mean["2sls"].abs() < 0.75 * mean["ols"]).all()
    assert mean["2sls"].abs().mean() < 0.4 * mean["ols"].mean()
    assert (mean["2sls"].abs() < 3 * error["2sls"] / np.sqrt(7)).all()


def test_the_spillover_that_inversion_assumed_does_not_matter(noisy):
    data = data_from(noisy, sj.solve(noisy, tolerance=1e-12))
    parameters = {
        "trade_elasticity": noisy.trade_elasticity,
        "location_elasticity": noisy.location_elasticity,
        "housing_share": float(noisy.consumption_share[1]),
        "minimum_consumption_share": None,
    }
    assumed = (alike_in_sectors(*values) for values in ((SHARE, SIZE), ((1.0, 2.0), (3.0, 4.0))))
    one, other = (sj.invert(data, spillover=spillover, **parameters) for spillover in assumed)
    found, wanted = (spillovers(e, estimator="ols") for e in (one, other))
    np.testing.assert_allclose(found.share, wanted.share, rtol=1e-8)
    np.testing.assert_allclose(found.size, wanted.size, rtol=1e-8)
    np.testing.assert_allclose(log_productivity(one), log_productivity(other), atol=1e-8)
    np.testing.assert_allclose(found.size, spillovers(noisy, estimator="ols").size, rtol=1e-6)


def test_total_productivity_is_that_of_the_equilibrium(noisy):
    productivity = np.asarray(sj.solve(noisy, tolerance=1e-12).productivity)
    np.testing.assert_allclose(np.exp(log_productivity(noisy)), productivity, rtol=1e-8)
    assert (productivity == 0).any()


def multiplied(rows, columns):
    """Columns and sector dummies, both sides times gamma (CH footnote 15)."""
    gamma = rows["value_added_share"].to_numpy()[:, None]
    dummies = pd.get_dummies(rows["sector"], dtype=float)
    return gamma * rows[columns].to_numpy(), gamma * dummies.to_numpy()


def test_regressions_by_occupation_are_those_written_out_times_gamma(noisy, instruments):
    panel = spillover_panel(noisy, instruments=instruments)
    panel = panel[np.isfinite(panel["log_productivity"])]
    least, two = (spillovers(noisy, estimator=n, instruments=instruments, small_sample="each") for n in ("ols", "2sls"))
    for occupation, rows in panel.groupby("occupation"):
        values, dummies = multiplied(rows, ["log_productivity", "share", "size", "model_share", "model_size"])
        clusters = rows[["city", "sector"]].apply(lambda column: pd.factorize(column)[0]).to_numpy()
        wanted = IV2SLS(values[:, 0], dummies, values[:, 1:3], values[:, 3:]).fit(
            cov_type="clustered", clusters=clusters, debiased=True
        )
        np.testing.assert_allclose(two.regressions[occupation].coefficients, wanted.params.iloc[-2:], rtol=1e-8)
        covariance = wanted.cov.iloc[-2:, -2:]
        assert np.linalg.eigvalsh(covariance)[0] > 0
        np.testing.assert_allclose(two.regressions[occupation].covariance, covariance, rtol=1e-8)
        ordinary = sm.OLS(values[:, 0], np.column_stack([values[:, 1:3], dummies])).fit().params[:2]
        np.testing.assert_allclose(least.regressions[occupation].coefficients, ordinary, rtol=1e-8)


def test_a_regression_by_group_pools_occupations(noisy, instruments):
    """SH: occupation x industry effects, tauR by occupation, one tauL, clusters by city; controls alike for all."""
    climate = historical(noisy)[["climate"]]
    found = spillovers(noisy, by="group", groups=GROUPS, instruments=instruments, controls=climate)
    panel = spillover_panel(noisy, instruments=instruments, controls=climate)
    sectors = [noisy.labels.sector[j] for j in noisy.traded if GROUPS[j] == "services"]
    rows = panel[panel["sector"].isin(sectors) & np.isfinite(panel["log_productivity"])]
    of = pd.get_dummies(rows["occupation"], dtype=float).to_numpy()
    gamma = rows["value_added_share"].to_numpy()[:, None]
    effects = pd.get_dummies(rows["occupation"] + rows["sector"], dtype=float).to_numpy()
    endogenous, excluded = (
        gamma * np.column_stack([rows[[share]].to_numpy() * of, rows[size]])
        for share, size in (("share", "size"), ("model_share", "model_size"))
    )
    exogenous = gamma * np.column_stack([effects, rows["climate"]])
    wanted = IV2SLS(gamma[:, 0] * rows["log_productivity"].to_numpy(), exogenous, endogenous, excluded).fit(
        cov_type="clustered", clusters=pd.factorize(rows["city"])[0], debiased=True
    )
    regression = found.regressions["services"]
    assert list(regression.coefficients.index) == ["share:occupation 0", "share:occupation 1", "size"]
    np.testing.assert_allclose(regression.coefficients, wanted.params.iloc[-3:], rtol=1e-8)
    np.testing.assert_allclose(regression.covariance, wanted.cov.iloc[-3:, -3:], rtol=1e-8)
    assert regression.clusters == {"city": CITIES}


def test_columns_of_the_user_are_matched_by_city(noisy):
    columns = historical(noisy)
    excluded, controls = columns[["early", "later", "sum"]], columns[["climate", "division"]]
    options = {"effects": "division^sector", "clusters": "city", "estimator": "cue"}
    found = spillovers(noisy, instruments=excluded, controls=controls, **options)
    shuffled = spillovers(
        noisy, instruments=excluded.iloc[::-1], controls=controls.sample(frac=1, random_state=0), **options
    )
    placed = spillovers(noisy, instruments=excluded.reset_index(drop=True), controls=controls, **options)
    for other in (shuffled, placed):
        pd.testing.assert_frame_equal(other.table(), found.table())
    regression = found.regressions["occupation 0"]
    assert regression.over_identification.freedom == 1
    assert regression.exogenous_rank == 4 * len(noisy.traded) + 1
    assert regression.search.agree
    pooled = spillovers(noisy, by="group", groups=GROUPS, instruments=excluded)
    assert pooled.regressions["goods"].over_identification.freedom == 3


def test_a_mean_in_logs_is_another_mean_and_both_are_alike_in_all_cities(noisy):
    levels, logs = (model_instruments(noisy, mean=mean) for mean in ("levels", "logs"))
    assert np.abs(levels.share - logs.share).to_numpy().max() > 1e-4
    np.testing.assert_allclose(levels.share, logs.share, atol=0.1)
    assert np.exp(levels.size).sum() == pytest.approx(float(noisy.population.sum()))
    np.testing.assert_allclose(np.exp(levels.share).sum(axis=1), 1.0)


def test_instruments_do_not_depend_on_where_exogenous_productivity_is(alike):
    """Moving productivity between cities leaves its mean, and with it the instruments, as they are."""
    moved = np.asarray(alike.fundamental_productivity)
    full = (moved > 0).all((1, 2))
    moved = moved.copy()
    moved[np.flatnonzero(full)[:2]] *= np.array([1.2, 0.8])[:, None, None]
    without = alike_in_sectors((0, 0), (0, 0))
    shifted, still = (
        eqx.tree_at(lambda e: (e.fundamental_productivity, e.spillover), alike, (productivity, without))
        for productivity in (jnp.asarray(moved), alike.fundamental_productivity)
    )
    shifted, still = (
        eqx.tree_at(lambda e: e.reference, e, sj.solve(e, tolerance=1e-12).state()) for e in (shifted, still)
    )
    wanted, found = model_instruments(still), model_instruments(shifted)
    np.testing.assert_allclose(found.share, wanted.share, atol=1e-8)
    np.testing.assert_allclose(found.size, wanted.size, atol=1e-8)
    first = np.flatnonzero(full)[0]
    assert np.abs(np.asarray(shifted.reference.log_employment - still.reference.log_employment))[first].max() > 0.1


def test_tables_print_what_was_estimated(noisy, instruments, tmp_path):
    found = spillovers(noisy, instruments=instruments)
    regression = found.regressions["occupation 1"]
    text, latex = found.to_text(), found.to_latex()
    for part in (f"{regression.coefficients['share']:.3f}", f"({regression.standard_errors['size']:.3f})"):
        assert part in text
        assert part in latex
    for part in ("K.P. F", "S.W. F, ln L", "2SLS", "city (40), sector (4)", f"{regression.observations:,}"):
        assert part in text
    assert r"$\ln(L^k_n / L_n)$ & " in latex
    found.to_csv(tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, found.table(), rtol=1e-12)
    assert list(read["coefficient"]) == [c for r in found.regressions.values() for c in r.coefficients]
    both = tables.side_by_side([spillovers(noisy, estimator="ols"), found])
    assert both.loc["ln L", ("2SLS", "occupation 1")] == f"{regression.coefficients['size']:.3f}"
    assert both.loc["K.P. F", ("OLS", "occupation 1")] == ""


def test_a_table_by_group_has_a_row_each(noisy, instruments):
    found = spillovers(
        noisy, by="group", groups=["health_education", "a", "b", "b", "x_y", "x_y"], instruments=instruments
    )
    row = next(line for line in found.to_text().splitlines() if line.startswith("x_y"))
    assert f"{found.regressions['x_y'].coefficients['size']:.2f} (" in row
    assert r"x\_y & " in found.to_latex()
    beside = tables.beside_published(found).set_index(["group", "coefficient_of"])
    wanted = SECTORAL_HUBS_SHARE["health_education"]
    assert list(beside.loc["health_education", "published"]) == [*wanted, 0.20]
    assert beside.loc["x_y", "published"].isna().all()


def test_published_estimates_stand_beside(noisy):
    found = tables.beside_published(spillovers(noisy, estimator="ols"))
    assert list(found["published"]) == [0.889, 0.386, 0.702, 0.322]
    assert list(found["published_standard_error"]) == [0.12, 0.05, 0.22, 0.04]


def test_few_sectors_are_warned_about(noisy):
    with pytest.warns(EstimationWarning, match=r"few clusters in sector \(4\)"):
        spillovers(noisy, estimator="ols")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "sector"}, ModelError, "by must be one of occupation, group"),
        ({"by": "group"}, ModelError, "needs groups"),
        ({"by": "group", "groups": GROUPS[:2]}, ModelError, "2 entries for 6 sectors"),
        ({"by": "group", "groups": {"sector 0": "goods"}}, ModelError, "groups lack the sectors sector 1"),
        ({"instruments": "history"}, ModelError, "instruments must be 'model'"),
        ({"effects": "division"}, DataError, "column division is missing"),
        (
            {"estimator": "ols", "controls": pd.DataFrame({"a": [1.0]}, ["city 0"])},
            DataError,
            "39 of 40 cities are missing",
        ),
        ({"estimator": "ols", "controls": pd.DataFrame({"share": np.ones(CITIES)})}, DataError, "rename: share"),
        (
            {"estimator": "ols", "clusters": "nation", "controls": pd.DataFrame({"nation": np.ones(CITIES)})},
            DataError,
            "nation has one cluster",
        ),
    ],
)
def test_bad_arguments_are_refused(noisy, instruments, options, error, message):
    with pytest.raises(error, match=message):
        spillovers(noisy, **{"instruments": instruments} | options)


def test_repeated_cities_are_refused(noisy):
    columns = historical(noisy)[["climate"]]
    with pytest.raises(DataError, match="cities are repeated: city 3"):
        spillovers(noisy, estimator="ols", controls=pd.concat([columns, columns.loc[["city 3"]]]))


def test_a_reference_that_is_no_equilibrium_is_refused():
    with pytest.raises(ModelError, match="reference is not an equilibrium"):
        spillovers(random_economy(CITIES, SECTORS, 2, empty_cells=5), estimator="ols")


def test_an_unknown_mean_is_refused(noisy):
    with pytest.raises(ModelError, match="mean must be one of levels, logs"):
        model_instruments(noisy, mean="median")


@pytest.mark.full_size
def test_us_metros_by_least_squares(us_economy, us_data):
    """382 cities times 20 traded sectors less 86 cells; what two-stage least squares have is in the documentation."""
    found = spillovers(us_economy, estimator="ols")
    assert found.left_out == {"CNR": 86, "non-CNR": 86}
    assert {r.observations for r in found.regressions.values()} == {7554}
    np.testing.assert_allclose(found.share.loc["all"], [1.430, 0.292], atol=5e-4)
    np.testing.assert_allclose(found.size.loc["all"], [0.319, 0.321], atol=5e-4)
    groups = spillovers(us_economy, estimator="ols", by="group", groups=us_data["sector_group"])
    assert set(groups.regressions) == set(SECTORAL_HUBS_SHARE)
    assert np.asarray(groups.spillover().size)[-2:].tolist() == [0.0, 0.0]


def test_employment_by_city_is_labelled(noisy):
    employment = Employment.of(noisy, np.exp(np.asarray(noisy.reference.log_employment)))
    assert list(employment.share.columns) == list(noisy.labels.occupation)
    assert list(employment.size.index) == list(noisy.labels.city)
    assert np.exp(employment.size).sum() == pytest.approx(float(noisy.population.sum()), rel=1e-6)
