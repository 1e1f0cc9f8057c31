import jax
import numpy as np
import pandas as pd
import pytest

from spatialjax.errors import ConvergenceError, DataError, EstimationWarning, ModelError
from spatialjax.estimation import granular_elasticities as elasticities
from spatialjax.estimation.granular_estimates import REPORTED, estimate_granular
from spatialjax.estimation.granular_growth import growth_with_shock
from spatialjax.estimation.granular_moments import employment_moments, wage_bill_moments
from spatialjax.estimation.granular_panel import simulate_granular_panel
from spatialjax.estimation.granular_responses import employment_responses
from spatialjax.estimation.granular_tail import estimate_tail, mean_herfindahl
from spatialjax.estimation.granular_variances import estimate_shock_variances, profit_share
from spatialjax.granular import Parameters, employment_response_ratio, herfindahl

FIRMS = np.geomspace(0.6, 9.0, 8)
SIZE = {"sectors": 100, "years": 18}
KAPPA, NU, ETA = 2.48, 1.46, 0.13


def simulate(shocks="levels", seed=0, parameters=None, **options):
    """Panels of one length, so that programs are compiled once."""
    return simulate_granular_panel(
        parameters or Parameters(), FIRMS, key=jax.random.key(seed), shocks=shocks, **SIZE | options
    )


@pytest.fixture(scope="module")
def levels():
    return simulate()


@pytest.fixture(scope="module")
def changes():
    return simulate("changes")


@pytest.fixture(scope="module")
def quiet():
    """Small shocks that last, and no tastes."""
    parameters = Parameters(sector_variance=2e-5, firm_variance=1.4e-3)
    return simulate("changes", parameters=parameters, supply_sd=0.0, market_supply_sd=0.0)


@pytest.fixture(scope="module")
def estimates(levels):
    return estimate_granular(levels.panel, levels.products, shipments=levels.shipments, sectors=100)


def test_simulated_firms_are_on_their_labour_supply_and_demand_curves(quiet):
    panel = quiet.panel.merge(quiet.firms[["firm", "committed", "share"]], on="firm")
    wage = panel.wage_bill / panel.employment
    market = [panel.location, panel.sector, panel.year]
    market_wage = (panel.share * wage ** (1 + KAPPA)).groupby(market).transform("sum") ** (1 / (1 + KAPPA))
    supply = KAPPA * np.log(wage) - (KAPPA - NU) * np.log(market_wage)
    np.testing.assert_allclose(np.log(panel.employment / panel.committed), supply, atol=1e-12)
    np.testing.assert_allclose(panel.wage_bill, (1 - ETA) * panel.sales, rtol=1e-12)


def test_demand_moves_revenue_productivity_by_product_shares():
    sd, count = 0.1, 10
    all_demand = Parameters(sector_variance=sd**2 / count, firm_variance=(2 / 3 - 1 / count) * sd**2)
    made = simulate(parameters=all_demand, demand_sd=sd, products=count)
    panel = made.panel
    sold = made.products.merge(made.shipments, on="product")
    demand = (sold.share * np.log(sold.shipments)).groupby([sold.firm, sold.year]).sum()
    committed = panel.firm.map(made.firms.set_index("firm").committed)
    # a = log w - log (1 - eta) y / l at committed labour, where the wage is one
    productivity = np.log(panel.wage_bill / panel.employment) + ETA * np.log(panel.employment / committed)
    np.testing.assert_allclose(productivity, demand.loc[list(zip(panel.firm, panel.year, strict=True))], atol=1e-12)


def test_a_panel_depends_on_its_key_and_changes_start_from_committed_labour(changes):
    again = simulate("changes")
    pd.testing.assert_frame_equal(again.panel, changes.panel)
    other = simulate("changes", seed=1)
    assert len(other.panel) != len(changes.panel)
    first = changes.panel[changes.panel.year == 2002]
    np.testing.assert_allclose(first.employment, changes.firms.committed, rtol=1e-12)
    fewer = simulate("changes", minimum_employment=20.0)
    assert len(fewer.panel) == (changes.panel.employment >= 20).sum()
    counts = changes.firms.groupby("location").size().to_numpy() / 100
    np.testing.assert_allclose(counts, FIRMS, atol=4 * np.sqrt(FIRMS.max() / 100))
    assert changes.products.groupby("firm")["product"].nunique().eq(2).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"demand_sd": 1.0}, "lower demand_sd"),
        ({"shocks": "growth"}, "'levels' or 'changes'"),
        ({"years": 1}, "years must be at least 2"),
        ({"products": 1}, "products must be at least 2"),
        ({"supply_sd": -1.0}, "supply_sd must be finite"),
        ({"parameters": Parameters(elasticity_across_firms=np.inf)}, "must be finite"),
        ({"parameters": Parameters(sector_dispersion=1.0)}, "sector_dispersion"),
    ],
)
def test_arguments_that_are_no_panel(options, message):
    with pytest.raises(ModelError, match=message):
        simulate(**options)


def test_no_location_without_firms():
    with pytest.raises(ModelError, match="positive numbers"):
        simulate_granular_panel(Parameters(), [1.0, 0.0], key=jax.random.key(0))


@pytest.mark.filterwarnings("ignore:.*singleton")
def test_elasticities_are_exact_without_tastes(quiet):
    """The payroll index needs no shares before shocks, KO's is exact at the true ones."""
    growth = growth_with_shock(quiet.panel, quiet.products, quiet.shipments, False)
    kappa = elasticities._estimate(growth, ["market_year"], False, False, "firm", "kappa")
    assert abs(kappa.least_squares.coefficients["wage_growth"] - KAPPA) < 1e-9
    payroll = elasticities.market_growth(growth, KAPPA)
    committed = growth.firm.map(quiet.firms.set_index("firm").committed)
    median = elasticities.market_growth(growth.assign(firm_employment=committed), KAPPA, index="median")
    for name in ("employment_growth", "wage_growth"):
        np.testing.assert_allclose(payroll[name], median[name], atol=1e-12)
    effects = ["location_year", "sector_year"]
    nu = elasticities._estimate(payroll, effects, False, False, "market", "nu")
    assert abs(nu.estimate - NU) < 1e-9


def test_tastes_bias_least_squares_and_not_the_instrument(levels, estimates):
    for found, truth, absolute in ((estimates.kappa, KAPPA, 0.2), (estimates.nu, NU, 0.4)):
        assert abs(found.estimate - truth) < min(3 * found.standard_error, absolute)
        ordinary, error = (found.table().loc[row, "least squares"] for row in ("elasticity", "standard_error"))
        assert ordinary < truth - 5 * error
        assert found.two_stage.first_stage_f > 50
        lower, upper = found.confidence_interval()
        np.testing.assert_allclose((lower + upper) / 2, found.estimate, rtol=1e-12)
        assert found.table().loc["observations"].nunique() == 1
    assert estimates.kappa.two_stage.observations > 40_000


def test_lagged_growth_biases_kappa_where_levels_are_independent(levels, changes, estimates):
    fading, lasting = (
        elasticities.estimate_kappa(made.panel, made.products, shipments=made.shipments, lagged_growth=True)
        for made in (levels, changes)
    )
    assert fading.estimate < estimates.kappa.estimate - 0.1
    assert abs(lasting.estimate - KAPPA) < 3 * lasting.standard_error


def test_weights_are_medians_of_markets_employment(changes):
    growth = growth_with_shock(changes.panel, changes.products, changes.shipments, False)
    total = (
        changes.panel.groupby(["location", "sector", "year"]).employment.sum().groupby(["location", "sector"]).median()
    )
    np.testing.assert_allclose(growth.weight, total.loc[list(zip(growth.location, growth.sector, strict=True))])
    arguments = (changes.panel, changes.products)
    plain, weighted = (
        elasticities.estimate_kappa(*arguments, shipments=changes.shipments, weighted=choice)
        for choice in (False, True)
    )
    assert abs(weighted.estimate - KAPPA) < min(4 * weighted.standard_error, 0.5)
    assert weighted.standard_error > plain.standard_error


def test_median_shares_bias_nu_where_shocks_last(changes):
    arguments = (changes.panel, changes.products, KAPPA)
    payroll = elasticities.estimate_nu(*arguments, shipments=changes.shipments)
    median = elasticities.estimate_nu(*arguments, shipments=changes.shipments, index="median")
    assert abs(payroll.estimate - NU) < min(3 * payroll.standard_error, 0.4)
    assert median.estimate < NU - 0.1


def test_weak_instruments_are_said(levels):
    noise = levels.shipments.assign(shipments=np.random.default_rng(0).uniform(1, 2, len(levels.shipments)))
    with pytest.warns(EstimationWarning, match="instrument of kappa is weak"):
        elasticities.estimate_kappa(levels.panel, levels.products, shipments=noise)


def test_elasticities_refuse_what_they_cannot_use(levels):
    with pytest.raises(ModelError, match="kappa must be positive"):
        elasticities.market_growth(pd.DataFrame(), -1.0)
    with pytest.raises(ModelError, match="'payroll' or 'median'"):
        elasticities.market_growth(pd.DataFrame(), 1.0, index="mean")
    with pytest.raises(DataError, match="column sales of panel is missing"):
        elasticities.estimate_kappa(levels.panel.drop(columns="sales"), levels.products)


def test_mean_herfindahl_is_that_of_drawn_sectors():
    m, tail = 2.5, 1.365
    np.testing.assert_allclose(mean_herfindahl(m, tail, "size"), herfindahl(m, Parameters()), rtol=1e-12)
    rng = np.random.default_rng(0)
    number = rng.poisson(m, 100_000)
    sector = np.repeat(np.arange(number.size), number)
    size = np.exp(rng.exponential(size=sector.size) / tail)
    squares, totals = (np.bincount(sector, size**power)[np.unique(sector)] for power in (2, 1))
    index = squares / totals**2
    assert abs(mean_herfindahl(m, tail) - index.mean()) < 4 * index.std() / np.sqrt(index.size)
    np.testing.assert_allclose(mean_herfindahl(1e-3, tail), 1.0, atol=5e-4)
    with pytest.raises(ModelError, match="size_tail"):
        mean_herfindahl(m, 1.0)
    with pytest.raises(ModelError, match="'sectors' or 'size'"):
        mean_herfindahl(m, tail, "firms")


def test_lambda_is_recovered_from_sizes_before_shocks(changes, levels):
    sizes = estimate_tail(changes.panel, ETA, sectors=100, year=2002)
    assert abs(sizes.estimate - 10.5) < min(3 * sizes.standard_error, 1.5)
    assert 0.1 < sizes.standard_error < 0.7
    np.testing.assert_allclose(sizes.size_tail, ETA * sizes.estimate, rtol=1e-12)
    np.testing.assert_allclose(sizes.fit.predicted, mean_herfindahl(sizes.fit.firms_per_sector, sizes.size_tail))
    shocked = estimate_tail(levels.panel, ETA, sectors=100)
    assert abs(shocked.estimate - 10.5) < 3 * shocked.standard_error
    by_size = estimate_tail(changes.panel, ETA, sectors=100, year=2002, weighting="size")
    assert abs(by_size.estimate - 10.5) < 2.5


def test_tails_that_cannot_be_estimated(levels):
    with pytest.raises(ConvergenceError, match="tail of firm size"):
        estimate_tail(levels.panel.assign(employment=levels.panel.employment**6), ETA, sectors=100)
    with pytest.raises(ModelError, match="sectors must be at least"):
        estimate_tail(levels.panel, ETA, sectors=3)
    with pytest.raises(DataError, match="no rows of year 1900"):
        estimate_tail(levels.panel, ETA, year=1900)


@pytest.mark.parametrize("weighting", ["efficient", "equal"])
def test_variances_are_recovered(levels, changes, weighting):
    for made, shocks in ((levels, "levels"), (changes, "changes")):
        found = estimate_shock_variances(made.panel, ETA, shocks=shocks, weighting=weighting)
        sector, firm = found.standard_errors
        assert abs(found.sector_variance - 0.002) < min(3 * sector, 0.002)
        assert abs(found.firm_variance - 0.14) < min(3 * firm, 0.015)
        assert sector < 0.001
        assert firm < 0.006


def test_two_numbers_of_firms_identify_both_variances(levels):
    count = levels.firms.groupby(["location", "sector"]).firm.transform("size")
    few = levels.panel[levels.panel.firm.isin(levels.firms.firm[count <= 2])]
    level, change = (estimate_shock_variances(few, ETA, shocks=shocks) for shocks in ("levels", "changes"))
    one, two = change.fit.variance
    np.testing.assert_allclose(
        [change.sector_variance, change.firm_variance], [2 * two - one, 2 * (one - two)], rtol=1e-6
    )
    np.testing.assert_allclose(2 * level.firm_variance, change.firm_variance, rtol=1e-9)
    np.testing.assert_allclose(4 * level.covariance, change.covariance, rtol=1e-9)
    with pytest.raises(DataError, match="one number of firms only"):
        estimate_shock_variances(levels.panel[levels.panel.firm.isin(levels.firms.firm[count == 1])], ETA)


def test_profit_share_is_eta(levels):
    assert abs(profit_share(levels.panel, year=2010) - ETA) < 1e-12
    with pytest.raises(DataError, match="one unit of money"):
        profit_share(levels.panel.assign(sales=levels.panel.wage_bill / 1000))


@pytest.mark.parametrize("moments", [wage_bill_moments, employment_moments])
def test_variances_by_number_of_firms_are_as_predicted(quiet, moments):
    parameters = Parameters(sector_variance=2e-5, firm_variance=1.4e-3)
    table = moments(quiet.panel, shocks="changes", parameters=parameters)
    assert table.markets.sum() == len(quiet.firms.drop_duplicates(["location", "sector"]))
    assert abs((table.variance - table.predicted) / table.standard_error).max() < 4
    assert abs(table.variance / table.predicted - 1).max() < 0.2
    assert table.log_ratio.iloc[-1] * table.predicted_log_ratio.iloc[-1] > 0
    assert abs(table.predicted_log_ratio.iloc[-1]) > 0.4


def test_moments_refuse_what_they_cannot_use(levels):
    with pytest.raises(ModelError, match="bins"):
        wage_bill_moments(levels.panel, bins=(2, 1))
    with pytest.raises(DataError, match="3 years"):
        wage_bill_moments(levels.panel[levels.panel.year < 2004])
    with pytest.raises(DataError, match="consecutive"):
        employment_moments(levels.panel[levels.panel.year != 2005], shocks="changes")


def test_firms_that_are_their_market_respond_less(quiet):
    found = employment_responses(quiet.panel, quiet.products, shipments=quiet.shipments, market_shock=True)
    truth = float(employment_response_ratio(Parameters()))
    assert found.table().columns.tolist() == ["(1)", "(2)", "(3)", "(4)"]
    for name in found.columns:
        ratio, error, lower, upper = found.ratio(name)
        assert abs(ratio - truth) < min(3 * error, 0.12)
        assert lower < ratio < upper
    fit = found.columns["(1)"]
    slope = 1 / (ETA + 1 / KAPPA)
    assert abs(fit.coefficients["shock"] - slope) < 3 * fit.standard_errors["shock"]
    assert abs(fit.coefficients["market_shock"] - truth * slope) < 3 * fit.standard_errors["market_shock"]


def test_standard_error_of_the_ratio_is_that_of_draws(quiet):
    found = employment_responses(quiet.panel, quiet.products, shipments=quiet.shipments, columns=("(1)",))
    fit = found.columns["(1)"]
    names = ["shock", "shock_share"]
    draws = np.random.default_rng(0).multivariate_normal(
        fit.coefficients[names], fit.covariance.loc[names, names], 20_000
    )
    assert abs((draws[:, 1] / draws[:, 0]).std() / found.ratio()[1] - 1) < 0.05
    assert fit.coefficients["shock"] < 1 / (ETA + 1 / KAPPA)  # shocks of others, which are alike, hold it back
    with pytest.raises(ModelError, match="among"):
        employment_responses(quiet.panel, quiet.products, shipments=quiet.shipments, columns=("(5)",))
    with pytest.raises(ModelError, match="'payroll' or 'median'"):
        employment_responses(quiet.panel, quiet.products, shipments=quiet.shipments, share="sales")


def test_summary_gives_parameters_and_a_table(estimates):
    table = estimates.table()
    assert table.KO.to_dict() == REPORTED
    for symbol, least in {"eta": 1e-12, "lambda": 1.5, "varS": 0.002, "varN": 0.015}.items():
        assert abs(table.estimate[symbol] - REPORTED[symbol]) < least
    parameters = estimates.parameters(migration_elasticity=4.0)
    assert float(parameters.productivity_tail) == estimates.tail.estimate
    assert float(parameters.elasticity_across_sectors) == estimates.nu.estimate
    assert float(parameters.migration_elasticity) == 4.0
    assert float(herfindahl(1.0, parameters)) < 1
