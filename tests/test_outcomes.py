"""Outcomes of results against hand-made examples, closed forms and the economy they come from."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from economies import data_from, random_economy

import spatialjax as sj
from spatialjax.cities.outcomes import (
    consumption_spending,
    employment_share,
    equivalent_variation,
    exogenous_productivity,
    first_two,
    gdp,
    gdp_equivalent_gain,
    intensity_of_inputs,
    log_premium,
    log_tfp,
    net_recipient_share,
    occupation_difference,
    occupation_intensity,
    specialisation,
    specialisation_change,
    top_sector,
    top_sector_change,
    transfer_percentiles,
    wage_bill_share,
    weighted_percentile,
)


@pytest.fixture(scope="module", params=[2, 3])
def solved(request):
    """An economy of two or three occupations, and its equilibrium with labels."""
    economy = random_economy(occupations=request.param, seed=4)
    found = sj.solve(economy, tolerance=1e-12)
    return economy, found.to_xarray(data_from(economy, found))


def result_of(wage_bill, wage=1.0, **further):
    """A result with these wage bills (city, occupation, sector) at one wage."""
    employment = np.asarray(wage_bill, float) / wage
    cities, occupations, sectors = employment.shape
    variables = {
        "employment_by_sector": (("city", "occupation", "sector"), employment),
        "employment": (("city", "occupation"), employment.sum(2)),
        "wage": (("city", "occupation"), np.full((cities, occupations), wage)),
    }
    coordinates = {
        "city": [f"c{n}" for n in range(cities)],
        "occupation": ["skilled", "other", "third"][:occupations],
        "sector": ["farms", "mines", "shops", "banks"][:sectors],
    }
    return xr.Dataset({**variables, **further}, coordinates)


class TestPairs:
    """Which occupation is compared with which is said by name."""

    def test_a_premium_is_of_the_pair_named(self, solved):
        _, result = solved
        names = result["occupation"].values.tolist()
        expected = np.log(result["wage"][:, 0] / result["wage"][:, 1])
        np.testing.assert_allclose(log_premium(result), expected)
        np.testing.assert_allclose(log_premium(result, (names[1], names[0])), -expected)
        turned = result.isel(occupation=slice(None, None, -1))
        np.testing.assert_allclose(log_premium(turned, (names[0], names[1])), expected)
        np.testing.assert_array_equal(
            occupation_difference(turned["wage"], (names[0], names[1])), result["wage"][:, 0] - result["wage"][:, 1]
        )

    def test_a_premium_is_unknown_where_one_is_absent(self):
        result = result_of([[[1], [1]], [[1], [1]]])
        result["wage"] = (("city", "occupation"), [[2.0, 1.0], [2.0, 0.0]])
        np.testing.assert_allclose(log_premium(result), [np.log(2), np.nan])

    def test_the_first_two_are_the_default(self):
        assert first_two(result_of([[[1], [1], [1]]])) == ("skilled", "other")
        assert first_two(result_of([[[1]]])) is None

    def test_missing_occupations_are_named(self):
        with pytest.raises(sj.errors.ModelError, match="needs skilled and fourth; there are skilled, other"):
            log_premium(result_of([[[1], [1]]]), ("skilled", "fourth"))
        with pytest.raises(sj.errors.ModelError, match="needs two occupations; there are skilled"):
            log_premium(result_of([[[1]]]))


class TestSectors:
    """CH section 6.1: who specialises, and in what."""

    before = result_of([[[6, 3, 1]], [[4, 4, 2]], [[1, 1, 8]]])
    after = result_of([[[8, 1, 1]], [[1, 2, 7]], [[1, 1, 8]]], wage=2.0)

    def test_specialisation_change(self):
        change = specialisation_change(self.before, self.after)
        np.testing.assert_allclose(change, specialisation(self.after) - specialisation(self.before))
        assert float(change[0]) == pytest.approx(7 / 15 - 1 / 3)
        assert float(change[2]) == 0
        assert change.attrs["units"] == "1"
        shuffled = self.after.isel(city=[2, 0, 1])
        with pytest.raises(ValueError, match="city"):
            specialisation_change(self.before, shuffled)

    def test_shares(self, solved):
        _, result = solved
        for share in (employment_share, wage_bill_share):
            np.testing.assert_allclose(share(result).sum("sector"), 1)
        uneven = result_of([[[1, 3], [3, 1]]])
        uneven["wage"] = (("city", "occupation"), [[3.0, 1.0]])
        np.testing.assert_allclose(employment_share(uneven)[0], [0.5, 0.5])
        np.testing.assert_allclose(wage_bill_share(uneven)[0], [6 / 16, 10 / 16])

    def test_top_sector(self):
        assert top_sector(self.before).values.tolist() == ["farms", "farms", "shops"]
        assert top_sector(self.after).values.tolist() == ["farms", "shops", "shops"]

    def test_top_sector_is_by_wage_bill(self):
        result = result_of([[[1, 3], [3, 0]]])
        result["wage"] = (("city", "occupation"), [[2.0, 1.0]])
        assert float(employment_share(result)[0, 0]) > float(employment_share(result)[0, 1])
        assert top_sector(result).values.tolist() == ["mines"]

    def test_change_of_the_top_sector(self):
        table = top_sector_change(self.before, self.after)
        assert table["sector"].values.tolist() == ["farms", "farms", "shops"]
        np.testing.assert_allclose(table["wage_bill_share"], [0.6, 0.4, 0.8])
        np.testing.assert_allclose(table["wage_bill_share_change"], [0.2, -0.3, 0], atol=1e-15)
        np.testing.assert_allclose(table["employment_share_change"], [0.2, -0.3, 0], atol=1e-15)
        new = top_sector_change(self.before, self.after, top_sector(self.after))
        np.testing.assert_allclose(new["wage_bill_share"], [0.6, 0.2, 0.8])
        np.testing.assert_allclose(new["wage_bill_share_change"], [0.2, 0.5, 0], atol=1e-15)

    def test_wages_and_workers_are_told_apart(self):
        before, after = result_of([[[3, 1], [1, 3]]]), result_of([[[3, 1], [1, 3]]])
        after["wage"] = (("city", "occupation"), [[1.0, 4.0]])
        table = top_sector_change(before, after, xr.DataArray(["mines"], {"city": ["c0"]}, "city"))
        assert float(table["employment_share_change"][0]) == 0
        assert float(table["wage_bill_share_change"][0]) == pytest.approx(13 / 20 - 0.5)

    def test_an_empty_city_has_none(self):
        empty = result_of([[[1, 2]], [[0, 0]]])
        table = top_sector_change(empty, empty)
        assert table["sector"].values.tolist() == ["mines", ""]
        np.testing.assert_allclose(table["wage_bill_share"], [2 / 3, np.nan])
        np.testing.assert_allclose(table["employment_share_change"], [0, np.nan])


class TestTransfers:
    """CH section 6.2: who pays and who receives."""

    def paid(self, transfer, employment):
        transfer, employment = np.asarray(transfer, float), np.asarray(employment, float)
        result = result_of(employment[:, :, None])
        return result.assign(transfer=(("city", "occupation"), transfer))

    def test_percentile_is_the_smallest_value_that_covers(self):
        values = np.array([30.0, 10.0, 20.0, 40.0])
        even = np.ones(4)
        np.testing.assert_array_equal(
            weighted_percentile(values, even, [0, 25, 26, 50, 99, 100]), [10, 10, 20, 20, 40, 40]
        )
        heavy = np.array([1.0, 1.0, 7.0, 1.0])
        np.testing.assert_array_equal(
            weighted_percentile(values, heavy, [10, 11, 80, 81, 90, 91]), [10, 20, 20, 30, 30, 40]
        )

    def test_weights_count_like_copies(self):
        rng = np.random.default_rng(0)
        values, copies = rng.normal(size=12), rng.integers(0, 5, 12)
        wanted = np.arange(1, 100)
        repeated = np.repeat(values, copies)
        np.testing.assert_array_equal(
            weighted_percentile(values, copies.astype(float), wanted),
            weighted_percentile(repeated, np.ones(repeated.size), wanted),
        )

    def test_zero_weights_do_not_count(self):
        assert weighted_percentile(np.array([np.nan, 2.0]), np.array([0.0, 1.0]), [0, 50]).tolist() == [2, 2]
        assert np.isnan(weighted_percentile(np.array([1.0]), np.array([0.0]), [50])).all()

    def test_by_occupation_weighted_and_not(self):
        workers = [[1, 5], [1, 5], [1, 5], [97, 5]]
        result = self.paid([[-1, 10], [-2, 20], [-3, 30], [-4, 40]], workers)
        table = transfer_percentiles(result)
        assert table["percentile"].values.tolist() == [10, 50, 90]
        np.testing.assert_array_equal(table["unweighted"].sel(occupation="skilled"), [-4, -3, -1])
        np.testing.assert_array_equal(table["weighted"].sel(occupation="skilled"), [-4, -4, -4])
        np.testing.assert_array_equal(table["unweighted"].sel(occupation="other"), [10, 20, 40])
        np.testing.assert_array_equal(table["weighted"].sel(occupation="other"), [10, 20, 40])
        assert table["weighted"].attrs["units"] == "US dollars a year per worker"
        turned = result.transpose("occupation", "city", ...)
        xr.testing.assert_identical(transfer_percentiles(turned), table)
        assert transfer_percentiles(result, [99])["weighted"].sel(occupation="skilled").values.tolist() == [-2]

    def test_cities_without_the_occupation_do_not_count(self):
        result = self.paid([[5, 1], [-5, 1], [0, 1]], [[1, 1], [1, 1], [0, 1]])
        table = transfer_percentiles(result, [0, 50, 100])
        np.testing.assert_array_equal(table["unweighted"].sel(occupation="skilled"), [-5, -5, 5])
        np.testing.assert_allclose(net_recipient_share(result), [1 / 2, 1])

    def test_recipients_receive_more_than_nothing(self):
        result = self.paid([[0, -1], [1, -1], [2, 3], [-1, -1]], np.ones((4, 2)))
        np.testing.assert_allclose(net_recipient_share(result), [1 / 2, 1 / 4])


class TestGains:
    def test_gdp_is_all_income(self, solved):
        economy, result = solved
        assert gdp(result) == pytest.approx(float((result["income"] * result["employment"]).sum()), rel=1e-10)
        assert gdp(result) > float(economy.wage_bill)
        np.testing.assert_allclose(
            consumption_spending(result), (result["income"] * result["employment"]).sum("city"), rtol=1e-12
        )

    def test_price_indices_may_differ_by_occupation(self, solved):
        _, result = solved
        own = (
            result["price_index"] * xr.ones_like(result["consumption"]) * [1.0, 1.2, 0.9][: result.sizes["occupation"]]
        )
        dearer = result.assign(price_index=own, consumption=result["consumption"] * result["price_index"] / own)
        np.testing.assert_allclose(consumption_spending(dearer), consumption_spending(result), rtol=1e-14)

    def test_equal_gains_are_their_own_percentage(self, solved):
        """All income is spent, so that one percent for all is one percent of GDP."""
        _, result = solved
        gain = xr.full_like(result["welfare"], 0.01)
        assert gdp_equivalent_gain(gain, result) == pytest.approx(1.0, rel=1e-10)

    def test_unequal_gains_weigh_by_spending(self, solved):
        _, result = solved
        gain = 0.02 * (result["occupation"] == result["occupation"][1])
        spent = float((result["income"] * result["employment"]).isel(occupation=1).sum())
        assert gdp_equivalent_gain(gain, result) == pytest.approx(2 * spent / gdp(result))

    def test_equivalent_variation_is_the_share_of_gdp(self, solved):
        economy, result = solved
        gain = xr.zeros_like(result["welfare"]) + np.array([0.03, -0.01, 0.02])[: result.sizes["occupation"]]
        dollars = equivalent_variation(gain, result)
        assert dollars.attrs["units"] == "US dollars a year per worker"
        total = float(dollars.values @ np.asarray(economy.population))
        assert 100 * total / gdp(result) == pytest.approx(gdp_equivalent_gain(gain, result), rel=1e-10)

    def test_equivalent_variation_buys_the_gain(self, solved):
        """Its dollars, paid in proportion to income at the baseline's prices, give the welfare gained."""
        economy, result = solved
        gain = xr.zeros_like(result["welfare"]) + 0.05
        dollars = equivalent_variation(gain, result)
        workers, income = result["employment"], result["income"]
        bill = (income * workers).sum("city")
        paid = income + dollars * workers.sum("city") * income / bill
        consumption = (paid / result["price_index"]).transpose("city", "occupation").values
        nu = float(economy.location_elasticity)
        sums = [((np.asarray(economy.amenity) * c) ** nu).sum(0) for c in (consumption, result["consumption"].values)]
        np.testing.assert_allclose((sums[0] / sums[1]) ** (1 / nu) - 1, gain, rtol=1e-10)

    def test_other_occupations_are_refused(self, solved):
        _, result = solved
        gain = xr.DataArray([0.1, 0.1], {"occupation": ["x", "y"]}, "occupation")
        for function in (gdp_equivalent_gain, equivalent_variation):
            with pytest.raises(ValueError, match="occupation"):
                function(gain, result)


class TestProductivity:
    def test_is_the_weighted_mean_of_logs(self, solved):
        economy, result = solved
        gamma, beta = np.asarray(economy.value_added_share), np.asarray(economy.land_share)
        fundamental = np.asarray(economy.fundamental_productivity)
        tfp, exogenous = log_tfp(economy, result), exogenous_productivity(economy, result)
        for n in range(result.sizes["city"]):
            for j in range(result.sizes["sector"]):
                wage = result["wage"].values[n]
                bill = wage * result["employment_by_sector"].values[n, :, j]
                if bill.sum() == 0:
                    assert np.isnan(tfp[n, j])
                    assert np.isnan(exogenous[n, j])
                    continue
                works = bill > 0
                share = bill[works] / bill.sum()
                mean = (share * np.log(result["productivity"].values[n, works, j])).sum()
                assert float(tfp[n, j]) == pytest.approx(gamma[n, j] * (1 - beta[n, j]) * mean, abs=1e-12)
                assert float(exogenous[n, j]) == pytest.approx(
                    (share * np.log(fundamental[n, works, j])).sum(), abs=1e-12
                )
        assert np.isnan(tfp.values).sum() == (result["gross_output"] == 0).sum() > 0

    def test_difference_is_what_externalities_add(self, solved):
        economy, result = solved
        added = log_tfp(economy, result) - exogenous_productivity(economy, result, as_tfp=True)
        shift = np.asarray(economy.spillover(jnp.asarray(result["employment"].values)))
        bill = (result["wage"] * result["employment_by_sector"]).values
        labour = np.asarray(economy.value_added_share * (1 - economy.land_share))
        with np.errstate(invalid="ignore"):
            expected = labour * (bill * shift).sum(1) / bill.sum(1)
        np.testing.assert_allclose(added, expected, atol=1e-12)

    def test_without_externalities_they_are_one(self, solved):
        economy, _ = solved
        economy = eqx.tree_at(lambda e: e.spillover, economy, sj.NoSpillover())
        found = sj.solve(economy)
        result = found.to_xarray(data_from(economy, found))
        np.testing.assert_allclose(
            log_tfp(economy, result), exogenous_productivity(economy, result, as_tfp=True), atol=1e-14
        )


class TestIntensity:
    """CH Figure 15: who works in a sector, and in the sectors that it buys from."""

    def test_of_occupations(self):
        result = result_of([[[1, 0, 2]], [[1, 4, 0]]])
        with pytest.raises(KeyError):
            occupation_intensity(result, "other")
        two = result_of([[[1, 0], [3, 2]], [[2, 0], [0, 1]]])
        two["wage"] = (("city", "occupation"), [[2.0, 1.0], [1.0, 5.0]])
        np.testing.assert_allclose(occupation_intensity(two, "skilled"), [4 / 7, 0])
        np.testing.assert_allclose(occupation_intensity(two, "other"), [3 / 7, 1])

    def test_intensities_sum_to_one(self, solved):
        _, result = solved
        total = sum(occupation_intensity(result, name) for name in result["occupation"].values)
        np.testing.assert_allclose(total, 1)

    def test_of_inputs_is_the_mean_over_the_mix(self, solved):
        economy, result = solved
        intensity = occupation_intensity(result, "occupation 0")
        found = intensity_of_inputs(economy, result, intensity)
        np.testing.assert_allclose(found, np.asarray(economy.input_links.mix).T @ intensity.values, rtol=1e-13)
        shuffled = intensity.isel(sector=[2, 0, 3, 1])
        xr.testing.assert_allclose(intensity_of_inputs(economy, result, shuffled), found)
        assert list(found["sector"].values) == list(result["sector"].values)

    def test_of_inputs_with_a_mix_by_city(self, solved):
        """A national table: what the sector's establishments buy of each input, over all they buy."""
        economy, result = solved
        rng = np.random.default_rng(5)
        mix = rng.dirichlet(np.ones(4), (5, 4)).transpose(0, 2, 1)
        by_city = eqx.tree_at(lambda e: e.input_links, economy, sj.CityInputMix(jnp.asarray(mix)))
        intensity = occupation_intensity(result, "occupation 1")
        found = intensity_of_inputs(by_city, result, intensity)
        bought = result["gross_output"].values * (1 - np.asarray(economy.value_added_share))
        for j in range(4):
            national = (bought[:, None, j] * mix[:, :, j]).sum(0)
            assert float(found[j]) == pytest.approx(float(national @ intensity.values / national.sum()), rel=1e-13)

    def test_a_sector_without_inputs_has_none(self, solved):
        economy, result = solved
        alone = eqx.tree_at(lambda e: e.value_added_share, economy, economy.value_added_share.at[:, 2].set(1.0))
        found = intensity_of_inputs(alone, result, occupation_intensity(result, "occupation 0"))
        assert np.isnan(found).values.tolist() == [False, False, True, False]
