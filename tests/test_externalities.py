"""Spillovers and the wedge: the papers' formulas, finite differences, and refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import random_allocation, random_economy
from leaves import central_difference

import spatialjax as sj
from spatialjax.cities.externalities import amenity_wedge, amenity_wedge_matrix, effective_amenity

SECTORS = 4


def setting(occupations, seed, spillover, amenity_spillover=None):
    """An economy with a spillover, and an allocation with empty cells."""
    economy = random_economy(5, SECTORS, occupations, seed=seed, spillover=spillover)
    if amenity_spillover is not None:
        economy = eqx.tree_at(lambda e: e.amenity_spillover, economy, amenity_spillover)
    at = random_allocation(economy, seed)
    assert (np.asarray(at.employment_by_sector) == 0).any()
    assert (np.asarray(at.employment) == 0).any()
    return economy, at


def elasticity(share, size, city, other, k):
    """CH equations (7) and (8): d log lambda[other] / d log L[k] in a city with these workers."""
    of_city = city[k] / city.sum()
    if other == k:
        return share[other] * (1 - of_city) + size[other] * of_city
    return -(share[other] - size[other]) * of_city


def by_hand(at, share, size):
    """SH section II, Delta[n, k] = sum_{l, j} w[n, l] L[n, l, j] / L[n, k] d log lambda[n, l, j] / d log L[n, k].

    `share` and `size` by occupation and sector; CH equation (10) where sectors are alike.
    """
    w, L, by_sector = (np.asarray(x) for x in (at.wage, at.employment, at.employment_by_sector))
    wedge = np.zeros_like(L)
    for n, k in np.argwhere(L > 0):
        for other in range(L.shape[1]):
            for j in range(by_sector.shape[2]):
                effect = elasticity(share[:, j], size[:, j], L[n], other, k)
                wedge[n, k] += w[n, other] * by_sector[n, other, j] / L[n, k] * effect
    return wedge


def total_shift(economy, at):
    """Wage bills times log productivity, as a function of employment: its gradient is the wedge."""
    wage_bill = at.wage[:, :, None] * at.employment_by_sector
    return lambda employment: (wage_bill * economy.spillover(employment)).sum()


class CrossSector(eqx.Module):
    """A user's spillover: each sector of an occupation responds to every occupation, here and in the next city.

    It is finite where an occupation is absent, so that differences may be taken there.
    """

    local: jax.Array
    remote: jax.Array

    def __call__(self, employment):
        log_employment = jnp.log1p(employment)
        here = jnp.einsum("kjl,nl->nkj", self.local, log_employment)
        pairs = (log_employment[:, :, None] * log_employment[:, None, :]).mean((1, 2))
        return here + self.remote * jnp.roll(jnp.tanh(0.01 * pairs), 1)[:, None, None]


class TestProductivityWedge:
    @pytest.mark.parametrize("occupations", [2, 3])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_is_that_of_cognitive_hubs(self, occupations, seed):
        share, size = np.random.default_rng(seed).uniform(0.0, 1.5, (2, occupations))
        economy, at = setting(occupations, seed, sj.OccupationSpillover(share, size))
        expected = by_hand(at, *(np.repeat(x[:, None], SECTORS, 1) for x in (share, size)))
        assert np.abs(expected).min() == 0 < np.abs(expected).max()
        np.testing.assert_allclose(sj.wedge(economy, at), expected, rtol=1e-12)

    def test_of_two_occupations_is_equation_10(self):
        share, size = (1.304, 0.835), (0.349, 0.357)
        economy, at = setting(2, 3, sj.OccupationSpillover())
        (w, v), (L, M) = np.asarray(at.wage[0]), np.asarray(at.employment[0])
        own = share[0] * (1 - L / (L + M)) + size[0] * L / (L + M)
        cross = -(share[1] - size[1]) * L / (L + M)
        assert float(sj.wedge(economy, at)[0, 0]) == pytest.approx(w * own + v * M / L * cross, rel=1e-12)

    @pytest.mark.parametrize("occupations", [2, 3])
    @pytest.mark.parametrize("by_occupation", [True, False])
    def test_is_that_of_sectoral_hubs(self, occupations, by_occupation):
        rng = np.random.default_rng(occupations)
        share = rng.uniform(0.0, 1.5, (occupations, SECTORS))
        size = rng.uniform(0.0, 0.5, (occupations, SECTORS) if by_occupation else SECTORS)
        economy, at = setting(occupations, 4, sj.IndustrySpillover(share, size))
        expected = by_hand(at, share, np.broadcast_to(size, share.shape))
        np.testing.assert_allclose(sj.wedge(economy, at), expected, rtol=1e-12)

    @pytest.mark.parametrize("occupations", [2, 3])
    def test_of_a_users_spillover_is_its_finite_difference(self, occupations):
        rng = np.random.default_rng(5)
        spillover = CrossSector(jnp.asarray(rng.normal(0, 0.3, (occupations, SECTORS, occupations))), jnp.asarray(0.7))
        economy, at = setting(occupations, 5, spillover)
        total, wedge = total_shift(economy, at), np.asarray(sj.wedge(economy, at))
        for n, k in np.argwhere(np.asarray(at.employment) > 0)[::2]:
            one = jnp.zeros_like(at.employment).at[n, k].set(1.0)
            finite = central_difference(lambda h: float(total(at.employment + h * one)), 1e-2)  # noqa: B023
            assert wedge[n, k] == pytest.approx(finite, rel=1e-7)

    def test_of_no_spillover_is_zero(self):
        assert (np.asarray(sj.wedge(*setting(2, 0, sj.NoSpillover()))) == 0).all()

    def test_gives_the_social_over_the_private_value_of_labour(self):
        economy, at = setting(2, 6, sj.OccupationSpillover())
        wedge = by_hand(at, *(np.repeat(np.asarray(x)[:, None], SECTORS, 1) for x in ((1.304, 0.835), (0.349, 0.357))))
        w, L = np.asarray(at.wage), np.asarray(at.employment)
        expected = ((w + wedge) * L).sum(0) / (w * L).sum(0)
        np.testing.assert_allclose(sj.social_value_ratio(sj.wedge(economy, at), at), expected, rtol=1e-12)


class TestAmenityWedge:
    @pytest.mark.parametrize("occupations", [2, 3])
    def test_is_its_formula(self, occupations):
        """(1 / L[n, k]) sum_l P[n] C[n, l] L[n, l] d log A[n, l] / d log L[n, k], on top of productivity's."""
        elasticities = np.random.default_rng(7).normal(0, 0.5, (occupations, occupations))
        economy, at = setting(occupations, 7, None, sj.OccupationAmenitySpillover(elasticities))
        share, size = np.asarray(economy.spillover.share), np.asarray(economy.spillover.size)
        expected = by_hand(at, *(np.repeat(x[:, None], SECTORS, 1) for x in (share, size)))
        income, L = np.asarray(at.income), np.asarray(at.employment)
        for n, k in np.argwhere(L > 0):
            expected[n, k] += sum(income[n, i] * L[n, i] * elasticities[i, k] for i in range(occupations)) / L[n, k]
        np.testing.assert_allclose(sj.wedge(economy, at), expected, rtol=1e-11)

    @pytest.mark.parametrize("occupations", [2, 3])
    def test_is_a_matrix_times_income(self, occupations):
        elasticities = np.random.default_rng(8).normal(0, 0.5, (occupations, occupations))
        economy, at = setting(occupations, 8, None, sj.OccupationAmenitySpillover(elasticities))
        matrix = amenity_wedge_matrix(economy, at.employment)
        wedge = amenity_wedge(economy, at.employment, at.income * at.employment)
        assert np.abs(np.asarray(wedge)).max() > 0
        np.testing.assert_allclose(np.einsum("nkl,nl->nk", matrix, at.income), wedge, rtol=1e-12, atol=1e-12)
        L, absent = np.asarray(at.employment), np.asarray(at.employment) == 0
        assert (np.asarray(matrix)[absent] == 0).all()
        assert float(matrix[0, 1, 0]) == pytest.approx(elasticities[0, 1] * L[0, 0] / L[0, 1], rel=1e-12)


class TestSpillovers:
    def test_by_occupation_is_one_by_industry_alike_in_all_sectors(self):
        share, size = np.array([1.3, 0.8]), np.array([0.35, 0.3])
        by_industry = sj.IndustrySpillover(*(np.repeat(x[:, None], SECTORS, 1) for x in (share, size)))
        economy, at = setting(2, 9, by_industry)
        simple = sj.OccupationSpillover(share, size)
        shift = np.broadcast_to(simple(at.employment), by_industry(at.employment).shape)
        np.testing.assert_allclose(by_industry(at.employment), shift, rtol=1e-14)
        same = eqx.tree_at(lambda e: e.spillover, economy, simple)
        np.testing.assert_allclose(sj.wedge(same, at), sj.wedge(economy, at), rtol=1e-12)

    def test_by_industry_is_table_1_of_sectoral_hubs(self, us_data):
        spillover = sj.IndustrySpillover.from_groups(us_data)
        goods = ["food", "textile", "wood", "chem", "metal", "mach", "comp", "elec", "motor", "furn", "misc"]
        table = {
            (0.63, 0.44, 0.20): ["educ", "health"],
            (1.22, 0.71, 0.39): ["prof", "other", "comm", "fin"],
            (1.23, 1.28, 0.51): goods,
            (0.80, 0.54, 0.37): ["wholesale", "transport", "accom"],
            (0.0, 0.0, 0.0): ["realestate", "retail_constr_util"],
        }
        expected = {sector: row for row, sectors in table.items() for sector in sectors}
        found = np.vstack([spillover.share, spillover.size]).T
        assert {str(s): tuple(row) for s, row in zip(us_data["sector"].values, found, strict=True)} == expected

    def test_by_industry_may_have_a_users_elasticities(self, us_data):
        spillover = sj.IndustrySpillover.from_groups(us_data, {"manufacturing": (0.5, 0.25)}, {"nontradable": 0.1})
        food, housing, health = (list(us_data["sector"].values).index(s) for s in ("food", "realestate", "health"))
        np.testing.assert_array_equal(spillover.share[:, [food, housing, health]], [[0.5, 0, 0], [0.25, 0, 0]])
        np.testing.assert_array_equal(spillover.size[jnp.asarray([food, housing, health])], [0, 0.1, 0])

    def test_of_amenities_multiply_them(self):
        elasticities = jnp.asarray([[0.2, -0.3], [0.1, 0.4]])
        economy, at = setting(2, 10, None, sj.OccupationAmenitySpillover(elasticities))
        L = np.asarray(at.employment[0])
        expected = float(economy.amenity[0, 1]) * L[0] ** 0.1 * L[1] ** 0.4
        assert float(effective_amenity(economy, at.employment)[0, 1]) == pytest.approx(expected, rel=1e-12)

    def test_of_amenities_default_to_diamonds(self):
        """Own and other elasticities: high skill 0.77 and -1.24, low skill -0.43 and 0.18."""
        two = sj.OccupationAmenitySpillover().elasticity
        np.testing.assert_array_equal(two, [[0.77, -1.24], [0.18, -0.43]])


class TestRefusals:
    def test_of_data_without_groups(self, us_data):
        with pytest.raises(sj.errors.ModelError, match="no sector_group.*add it"):
            sj.IndustrySpillover.from_groups(us_data.drop_vars("sector_group"))

    @pytest.mark.parametrize("position", [0, 1])
    def test_of_a_group_that_the_data_lack(self, us_data, position):
        arguments = [{}, {}]
        arguments[position] = {"banking": (0.1, 0.2)[: 2 - position]}
        with pytest.raises(sj.errors.ModelError, match="in group banking; sector_group has accommodation.*nontradable"):
            sj.IndustrySpillover.from_groups(us_data, *arguments)

    def test_of_a_wrong_number_of_occupations(self, us_data):
        with pytest.raises(sj.errors.ModelError, match="manufacturing has 3 elasticities.*the data have 2 occupations"):
            sj.IndustrySpillover.from_groups(us_data, {"manufacturing": (0.1, 0.2, 0.3)}, {})
        with pytest.raises(sj.errors.ModelError, match="elasticities for 2 occupations.*the economy has 3"):
            sj.IndustrySpillover(np.ones((2, SECTORS)), np.ones(SECTORS))(jnp.ones((5, 3)))
        with pytest.raises(sj.errors.ModelError, match=r"shape \(2, 2\), but the economy has 3 occupations"):
            sj.OccupationAmenitySpillover()(jnp.ones((5, 3)))
        with pytest.raises(sj.errors.ModelError, match="3 elasticities to the share and 2 to size.*has 3 occupations"):
            sj.OccupationSpillover((1.0, 1.0, 1.0), (0.1, 0.2))(jnp.ones((5, 3)))

    def test_of_an_amenity_spillover_of_the_wrong_shape(self):
        class BySize(eqx.Module):
            def __call__(self, employment):
                return jnp.log(employment.sum(1))

        economy, at = setting(2, 0, None, BySize())
        with pytest.raises(sj.errors.ModelError, match=r"BySize returned shape \(5,\).*\(5, 2\)"):
            effective_amenity(economy, at.employment)
