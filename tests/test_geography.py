"""Trade costs from coordinates: kernels that are not stored equal the stored one, and keep their bound."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from economies import data_from, random_economy
from leaves import central_difference

import spatialjax as sj
from spatialjax.cities import cost_forms, flows, geographies
from spatialjax.cities.decompositions import price_decomposition
from spatialjax.cities.distance import arcsine_of_root, great_circle, log_relative_distance, unit_vectors
from spatialjax.cities.distance_costs import DistanceCosts
from spatialjax.cities.hierarchical_kernel import HierarchicalKernel
from spatialjax.cities.hierarchy import build_hierarchy
from spatialjax.cities.tiled_kernel import TiledKernel
from spatialjax.cities.trade import Geography, TradeCosts
from spatialjax.cities.variants import without_trade_costs
from spatialjax.numerics.clusters import cluster_tree, interactions, table_of_contributions
from spatialjax.numerics.column_groups import ColumnGroups
from spatialjax.numerics.matrix_scaling import scale_kernel
from spatialjax.numerics.skeletons import skeleton

CITIES, LEAF = 120, 8


def coordinates(kind, cities=CITIES, seed=0):
    """Latitude and longitude: some cities are closer than the shortest distance, two are at one point."""
    rng = np.random.default_rng(seed)
    if kind == "uniform":
        latitude, longitude = rng.uniform(28, 47, cities), rng.uniform(-120, -75, cities)
    elif kind == "clustered":
        centre = rng.integers(0, 6, cities)
        latitude = rng.uniform(30, 45, 6)[centre] + rng.normal(0, 0.3, cities)
        longitude = rng.uniform(-115, -80, 6)[centre] + rng.normal(0, 0.3, cities)
    elif kind == "coast":
        latitude = np.linspace(25, 48, cities)
        longitude = -80 + 0.1 * rng.standard_normal(cities)
    else:
        latitude, longitude = np.degrees(np.arcsin(rng.uniform(-1, 1, cities))), rng.uniform(-180, 180, cities)
        latitude[2], longitude[2] = -latitude[3], longitude[3] - 180
    latitude[1], longitude[1] = latitude[0] + 0.05, longitude[0]
    latitude[5], longitude[5] = latitude[4], longitude[4]
    return latitude, longitude


KINDS = ("uniform", "clustered", "coast", "world")


@pytest.mark.parametrize("kind", KINDS)
def test_distance_is_that_of_great_circles(kind):
    latitude, longitude = coordinates(kind)
    point = unit_vectors(jnp.asarray(latitude), jnp.asarray(longitude))
    found = 20 * np.exp(log_relative_distance(point, point))
    wanted = great_circle(latitude, longitude)
    assert (found >= 20 - 1e-12).all()
    np.testing.assert_allclose(found, wanted, rtol=3e-8 if kind == "world" else 1e-12)
    assert np.sort(wanted.ravel())[CITIES] == 20


def test_arcsine_to_rounding_with_finite_derivatives():
    x = np.sqrt(np.linspace(0, 1, 10_001))
    np.testing.assert_allclose(arcsine_of_root(jnp.asarray(x**2)), np.arcsin(x), atol=1e-15, rtol=3e-8)
    at = np.array([0.2, 0.25, 0.2500001, 0.7])
    slopes = jax.jit(jax.vmap(jax.grad(arcsine_of_root)))(jnp.asarray([*at, 1.0]))
    np.testing.assert_allclose(slopes[:-1], 1 / (2 * np.sqrt(at * (1 - at))))
    assert np.isfinite(slopes[-1])


class TestClusters:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("leaf_size", [5, 200])
    def test_every_pair_is_covered_once(self, kind, leaf_size):
        point = np.asarray(unit_vectors(*map(jnp.asarray, coordinates(kind, 101))))
        tree = cluster_tree(point, leaf_size)
        apart = interactions(tree, point, separation=1.0, shortest=0.005)
        count = np.zeros((101, 101), int)
        for level, pairs in [*enumerate(apart.far), (tree.depth, apart.near)]:
            members = tree.members(level)
            for a, b in pairs:
                count[np.ix_(members[a], members[b])] += 1
                count[np.ix_(members[b], members[a])] += 1
        for own in tree.members(tree.depth):
            count[np.ix_(own, own)] += 1
        np.testing.assert_array_equal(count, 1)
        np.testing.assert_array_equal(tree.slot.ravel()[tree.position()], np.arange(101))

    def test_far_clusters_are_apart(self):
        point = np.asarray(unit_vectors(*map(jnp.asarray, coordinates("uniform"))))
        tree = cluster_tree(point, LEAF)
        far = interactions(tree, point, separation=1.0, shortest=0.005).far
        assert sum(map(len, far)) > 10
        for level, pairs in enumerate(far):
            members = tree.members(level)
            for a, b in pairs:
                gap = np.sqrt(((point[members[a]][:, None] - point[members[b]]) ** 2).sum(2)).min()
                assert gap > 0.005
                assert gap >= max(np.ptp(point[members[c]], axis=0).max() / 2 for c in (a, b))

    def test_table_finds_what_each_cluster_receives(self):
        pairs = np.array([[0, 2], [1, 2], [0, 1]])
        table = table_of_contributions(pairs, 4)
        values = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 30.0, 0.0])
        np.testing.assert_array_equal(values[table].sum(1), [4, 32, 30, 0])


def test_columns_are_grouped_and_put_back():
    columns = jnp.arange(10.0).reshape(2, 5)
    groups = ColumnGroups.of(["a", "b", "a", "c", "b"])
    assert groups.group == (0, 1, 0, 2, 1)
    np.testing.assert_array_equal(groups.gather(columns)[:, 0], [[0, 2], [1, 4], [3, 0]])
    np.testing.assert_array_equal(groups.scatter(groups.gather(columns)), columns)


def test_skeleton_reproduces_a_matrix_of_low_rank():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((400, 4)) @ rng.standard_normal((4, 30))
    found = skeleton(matrix, 1e-10, np.arange(3, 30))
    assert found.chosen.size == 4
    assert (found.chosen >= 3).all()
    np.testing.assert_allclose(matrix[:, found.chosen] @ found.basis.T, matrix, atol=1e-10)


@pytest.mark.parametrize(("kind", "relative_error"), [(kind, 1e-4) for kind in KINDS] + [("uniform", 1e-7)])
def test_no_element_is_off_by_more_than_the_bound(kind, relative_error):
    """Also between the exponents at which it was computed, and near the shortest distance."""
    latitude, longitude = coordinates(kind, 2 * CITIES)
    point = unit_vectors(jnp.asarray(latitude), jnp.asarray(longitude))
    exponents = (0.4, 2.5) if kind == "coast" else (0.6, 1.6)
    hierarchy = build_hierarchy(np.asarray(point), exponents, relative_error, leaf_size=3 * LEAF)
    bound = float(hierarchy.relative_error)
    assert 0 < bound <= relative_error
    assert sum(level.pairs.first.size for level in hierarchy.far) > 5
    between = np.linspace(*exponents, 5)
    found = np.asarray(elements(point, jnp.asarray(between), hierarchy))
    exact = np.exp(-between[:, None] * np.asarray(log_relative_distance(point, point))[:, None, :])
    assert np.abs(found / exact - 1).max() < bound
    assert kind == "world" or np.abs(found / exact - 1).max() > 1e-3 * bound
    np.testing.assert_allclose(found, np.swapaxes(found, 0, 2), rtol=1e-12)


@eqx.filter_jit
def elements(point, exponents, hierarchy):
    """The kernels of these exponents (city, exponent, origin), from one product with all unit vectors."""
    cities, count = point.shape[0], exponents.size
    sectors = ColumnGroups.of([group for group in range(count) for _ in range(cities)])
    kernel = HierarchicalKernel.of(point, exponents, sectors, hierarchy)
    return kernel.apply(jnp.tile(jnp.eye(cities), count)).reshape(cities, count, cities)


ELASTICITY = np.array([1.3, np.nan, 0.7, 1.3])
TRADED = (0, 2, 3)


def costs(method, kind="uniform", theta=4.0, **options):
    options = {"leaf_size": LEAF} | options
    made = DistanceCosts.of(*coordinates(kind), ELASTICITY, theta, method=method, **options)
    return made.times_between_cities(jnp.log(1.1))


def kept(made, theta):
    return made.geography(theta, TRADED)


def stored(made, theta):
    """The same geography from an array of costs."""
    return Geography.of(made.log_cost_array(TRADED), theta, TRADED)


def draws(seed, count=2):
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.pareto(1.5, (CITIES, len(TRADED))) + 0.01) for _ in range(count)]


@eqx.filter_jit
def parts_of(geography_of, made, theta):
    """Products with the kernel and its transpose, and the diagonal, as they are before rows are scaled; own costs."""
    strength, demand = draws(1)
    geography = geography_of(made, theta)
    kernel, scale = geography.kernel, jnp.exp(geography.log_access)
    products = scale * kernel.apply(strength), kernel.apply_transpose(demand / scale)
    return *products, scale * kernel.own(), geography.log_own_cost


def outcome(geography_of, made, leaves):
    latitude, exponent, border, theta = leaves
    strength, weight = draws(2)
    changed = eqx.tree_at(lambda c: (c.latitude, c.exponent, c.border), made, (latitude, exponent, border))
    geography = geography_of(changed, theta)
    access = geography.kernel.apply(strength)
    back = geography.kernel.apply_transpose(1 / access)
    return (weight * (jnp.log(access) + geography.log_access - jnp.log(back))).sum()


def leaves_of(made):
    return made.latitude, made.exponent, made.border, jnp.asarray(4.0)


@eqx.filter_jit
def gradient(geography_of, made, leaves):
    return jax.grad(lambda leaves: outcome(geography_of, made, leaves))(leaves)


class TestKernels:
    @pytest.mark.parametrize(
        ("theta", "share"), [(4.0, True), ((3.0, 5.0, 4.5, 6.0), False), ((4.0, 4.0, 4.0, 4.2), True)]
    )
    def test_equal_the_stored_one(self, theta, share):
        """Also where sectors of one exponent share it, and then have another trade elasticity."""
        tiled, theta = costs("tiled", share_exponents=share), jnp.asarray(theta)
        assert tiled.exponent.size == (3 if share else 4)
        wanted = parts_of(stored, tiled, theta)
        hierarchical = costs("hierarchical", share_exponents=share, exponent_range=(0.5, 2.5))
        for made, tolerance in ((tiled, 1e-12), (hierarchical, 1e-8)):
            for one, two in zip(parts_of(kept, made, theta), wanted, strict=True):
                np.testing.assert_allclose(one, two, rtol=tolerance, atol=1e-14)

    def test_products_of_a_batch(self):
        """Many strengths with one kernel, and many borders and elasticities with one strength."""
        made, batch = costs("hierarchical"), jnp.stack(draws(0, 3))

        @eqx.filter_jit
        def products(made):
            def of(strength, border, theta):
                changed = eqx.tree_at(lambda c: c.border, made, border)
                return kept(changed, theta).kernel.apply(strength)

            borders, thetas = jnp.asarray([0.0, 0.1, 0.2]), jnp.asarray([3.9, 4.0, 4.1])
            return (
                (jax.vmap(lambda s: of(s, borders[1], thetas[1]))(batch)[1], of(batch[1], borders[1], thetas[1])),
                (jax.vmap(lambda b, t: of(batch[0], b, t))(borders, thetas)[2], of(batch[0], borders[2], thetas[2])),
            )

        for found, wanted in products(made):
            np.testing.assert_allclose(found, wanted, rtol=1e-13)

    @pytest.mark.parametrize(("method", "tolerance"), [("tiled", 1e-9), ("hierarchical", 1e-6)])
    def test_have_the_derivatives_of_the_stored_one(self, method, tolerance):
        """The gradient; and, forward over reverse, how it changes with exponents, border and trade elasticity."""
        made, plain = costs(method), costs("tiled")
        latitude, *others = leaves_of(made)
        direction = [jnp.cos(jnp.arange(x.size, dtype=float)).reshape(x.shape) for x in others]

        def moved(size, geography_of, made):
            return gradient(
                geography_of, made, (latitude, *(x + size * d for x, d in zip(others, direction, strict=True)))
            )

        found, change = eqx.filter_jit(lambda m: jax.jvp(lambda h: moved(h, kept, m), (0.0,), (1.0,)))(made)
        for one, two in zip(found, moved(0.0, stored, plain), strict=True):
            np.testing.assert_allclose(one, two, rtol=tolerance, atol=tolerance * float(jnp.abs(two).max()))
        for k in (1, 2, 3):
            finite = central_difference(lambda h, k=k: np.asarray(moved(h, stored, plain)[k]), 1e-3)
            np.testing.assert_allclose(change[k], finite, rtol=1e-6, atol=1e-6 * np.abs(finite).max())

    def test_second_derivatives_in_coordinates_are_refused(self):
        made = costs("hierarchical")
        leaves = leaves_of(made)
        with pytest.raises(sj.errors.ModelError, match="second derivatives in coordinates need an exact kernel"):
            jax.eval_shape(lambda x: jax.jvp(lambda y: gradient(kept, made, y), (x,), (x,)), leaves)

    def test_tiles_are_not_kept_for_derivatives(self):
        point = unit_vectors(*map(jnp.asarray, coordinates("uniform")))
        kernel = TiledKernel(point, jnp.asarray([1.3, 0.7]), ColumnGroups((0, 1, 0)), 8)
        strength = jnp.ones((CITIES, 3))

        def there_and_back(strength):
            _, push = jax.linearize(kernel.apply, strength)
            return jax.linear_transpose(push, strength)(strength)

        def gradient(exponent):
            return jax.grad(lambda a: eqx.tree_at(lambda k: k.exponent, kernel, a).apply(strength).sum())(exponent)

        for function, argument in ((there_and_back, strength), (gradient, kernel.exponent)):
            assert largest_array(jax.make_jaxpr(function)(argument).jaxpr) == 2 * 8 * CITIES


def largest_array(jaxpr):
    """Elements of the largest array that a computation makes."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [int(np.prod(v.aval.shape)) for v in equation.outvars]
        for parameter in jax.tree.leaves(tuple(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(parameter, "jaxpr", parameter)
            sizes.append(largest_array(inner) if hasattr(inner, "eqns") else 0)
    return max(sizes)


def in_places(economy, method, kind="uniform", **options):
    """The economy with costs of trade from coordinates; stored, or by another method."""
    cities = economy.land.size
    elasticity = np.where(np.isin(np.arange(4), economy.traded), [1.2, np.nan, 0.8, np.nan], np.nan)
    latitude, longitude = coordinates(kind, cities)
    how = "tiled" if method == "stored" else method
    made = DistanceCosts.of(latitude, longitude, elasticity, economy.trade_elasticity, method=how, **options)
    leaf = made.log_cost_array(economy.traded) if method == "stored" else made
    return eqx.tree_at(lambda e: e.log_iceberg_cost, economy, leaf)


@pytest.fixture(scope="module")
def economies():
    """The same economy by how its costs are held."""
    economy = random_economy(40, empty_cells=5)
    return {
        "stored": in_places(economy, "stored"),
        "tiled": in_places(economy, "tiled"),
        "hierarchical": in_places(economy, "hierarchical", leaf_size=6, relative_error=1e-9),
    }


def log_welfare(economy):
    found = sj.solve(economy, tolerance=1e-12)
    return jnp.log(found.welfare[0]), found


value_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(log_welfare, has_aux=True))
"""Compiled once for all economies whose costs are held in one way."""


@pytest.fixture(scope="module")
def solved(economies):
    """Log welfare, the equilibrium, and the gradient of log welfare, by the hierarchical method."""
    (value, found), gradient = value_and_gradient(economies["hierarchical"])
    return value, found, gradient


@pytest.fixture(scope="module")
def found(solved):
    return solved[1]


class TestEconomies:
    def test_have_the_same_equilibrium(self, economies, found):
        """The stored and the tiled kernel leave the same excess demand, and little at the hierarchical solution."""
        states = (found.state(), jax.tree.map(lambda x: x + 0.1 * jnp.sin(x), found.state()))
        for state, limit in zip(states, (1e-8, 10.0), strict=True):
            wanted, residuals = (sj.evaluate_at(economies[name], state).by_block() for name in ("stored", "tiled"))
            for block, value in wanted.items():
                assert float(value) < limit, block
                assert float(residuals[block]) == pytest.approx(float(value), rel=1e-10, abs=1e-12), block

    def test_gradient_of_welfare(self, economies, solved):
        economy, (_, _, gradient) = economies["hierarchical"], solved

        def leaves(e):
            return e.trade_elasticity, e.log_iceberg_cost.exponent, e.log_iceberg_cost.border

        def moved(size):
            theta, exponent, border = leaves(economy)
            changed = eqx.tree_at(leaves, economy, (theta + size, exponent * (1 - size), border + size / 2))
            return float(value_and_gradient(changed)[0][0])

        by_theta, by_exponent, by_border = leaves(gradient)
        along = by_theta - by_exponent @ economy.log_iceberg_cost.exponent + by_border / 2
        assert float(along) == pytest.approx(central_difference(moved, 1e-3), rel=1e-6)
        for leaf in jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array)):
            assert np.isfinite(leaf).all()

    def test_own_trade_shares_need_no_array(self, economies, found):
        wanted = flows.log_own_trade_share(economies["stored"], found)
        assert float(wanted[0, 0]) == -np.inf
        np.testing.assert_allclose(flows.log_own_trade_share(economies["tiled"], found), wanted, rtol=1e-10)
        np.testing.assert_allclose(flows.own_trade_share(economies["tiled"], found), jnp.exp(wanted), rtol=1e-10)

    def test_flows_are_formed_where_they_fit(self, economies, found, monkeypatch):
        shares = [flows.expenditure_share(economies[name], found) for name in ("stored", "tiled")]
        np.testing.assert_allclose(*shares, rtol=1e-10, atol=1e-15)
        monkeypatch.setattr(cost_forms, "LARGEST_ARRAY", 8 * 4 * 40**2 - 1)
        with pytest.raises(sj.errors.ModelError, match="expenditure shares of 40 cities and 4 sectors are arrays of"):
            cost_forms.log_cost_array(economies["tiled"], "expenditure shares")

    def test_prices_are_decomposed(self, economies, found):
        data = data_from(economies["stored"], found)
        parts = price_decomposition(economies["tiled"], found, found, data)
        np.testing.assert_allclose(parts["price"], 0, atol=1e-14)

    def test_variants_of_costs(self, economies):
        def dearer(economy):
            return cost_forms.times_between_cities(economy, 1.2)

        for change in (without_trade_costs, dearer, lambda e: dearer(without_trade_costs(e))):
            array, module = (change(economies[name]) for name in ("stored", "tiled"))
            assert isinstance(module.log_iceberg_cost, TradeCosts)
            assert array.traded == module.traded
            made = module.log_iceberg_cost.log_cost_array(module.traded)
            np.testing.assert_allclose(made, array.log_iceberg_cost, atol=1e-14)
            np.testing.assert_allclose(*map(cost_forms.log_own_cost, (module, array)), atol=1e-14)

    def test_free_trade_is_a_sum_over_cities(self, economies):
        theta, traded, strength = jnp.asarray(4.0), (0, 2, 3), jnp.arange(120.0).reshape(40, 3)
        free = cost_forms.times_between_cities(without_trade_costs(economies["tiled"]), 1.3).log_iceberg_cost
        kernel = free.geography(theta, traded).kernel
        wanted = strength.sum(0) * 1.3**-4 + (1 - 1.3**-4) * strength
        np.testing.assert_allclose(kernel.apply(strength), wanted, rtol=1e-14)
        np.testing.assert_allclose(kernel.apply_transpose(strength), wanted, rtol=1e-14)
        np.testing.assert_array_equal(kernel.own(), 1)


class TestRefusal:
    def refused(self, economy, leaf, value, match):
        changed = eqx.tree_at(lambda e: getattr(e.log_iceberg_cost, leaf), economy, value)
        with pytest.raises(sj.errors.ModelError, match=match):
            sj.solve(changed)

    def test_of_costs_that_do_not_fit_the_economy(self, economies):
        economy = economies["hierarchical"]
        made = economy.log_iceberg_cost
        self.refused(economy, "latitude", made.latitude.at[3].add(0.1), "cities have moved by 6 miles")
        self.refused(economy, "latitude", made.latitude.at[3].set(jnp.nan), r"log_iceberg_cost.latitude must be finite")
        self.refused(economy, "latitude", made.latitude[1:], "of 39 cities and 4 sectors, but the economy has 40 and 4")
        self.refused(economy, "exponent", 2 * made.exponent, r"are 1.6 to 2.4, but its hierarchy was built for 0.6667")

    def test_of_traced_exponents_out_of_range(self, economies):
        made = economies["hierarchical"].log_iceberg_cost

        @eqx.filter_jit
        def own(theta):
            return made.geography(theta, (0, 2)).kernel.kernel.near.sum()

        assert np.isfinite(own(jnp.asarray(4.1)))
        with pytest.raises(Exception, match="outside the range for which the hierarchical geography was built"):
            own(jnp.asarray(8.0)).block_until_ready()

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"method": "dense"}, "method must be one of tiled, hierarchical, found 'dense'"),
            ({"relative_error": 1e-14}, "relative_error must be from 1e-12 and below 1"),
            ({"exponent_range": (3.0, 1.0)}, "exponent_range must be two positive numbers in ascending order"),
            ({"exponent_range": (0.0, 1.0)}, "exponent_range must be two positive numbers in ascending order"),
            ({"distance_elasticity": [1.0, -0.5]}, "must be positive and finite, .* found -0.5 in sector 1"),
            ({"distance_elasticity": [np.nan, np.nan]}, "no sector is traded"),
        ],
    )
    def test_of_options(self, options, match):
        arguments = {"distance_elasticity": ELASTICITY, "trade_elasticity": 4.0} | options
        with pytest.raises(sj.errors.ModelError, match=match):
            DistanceCosts.of(*coordinates("uniform"), **arguments)

    def test_of_traced_coordinates(self):
        latitude, longitude = (jnp.asarray(degrees) for degrees in coordinates("uniform"))

        def total(latitude, method):
            costs = DistanceCosts.of(latitude, longitude, ELASTICITY, 4.0, method=method)
            return costs.log_cost_array((0,))[0].sum()

        with pytest.raises(sj.errors.ModelError, match="latitude and longitude are traced"):
            jax.grad(lambda latitude: total(latitude, "hierarchical"))(latitude)
        assert jax.grad(lambda latitude: total(latitude, "tiled"))(latitude).any()


def test_trade_elasticity_may_be_traced():
    latitude, longitude = coordinates("uniform")

    @jax.jit
    def access(theta):
        costs = DistanceCosts.of(latitude, longitude, ELASTICITY, theta, leaf_size=LEAF)
        return costs.geography(theta, (0, 2)).kernel.apply(jnp.ones((CITIES, 2))).sum()

    costs = DistanceCosts.of(latitude, longitude, ELASTICITY, 4.0, leaf_size=LEAF)
    kernel = costs.geography(jnp.asarray(4.0), (0, 2)).kernel
    np.testing.assert_allclose(access(4.0), kernel.apply(jnp.ones((CITIES, 2))).sum(), rtol=1e-12)


def test_any_exponent_holds_where_nothing_is_interpolated():
    costs = DistanceCosts.of(*coordinates("uniform", 20), ELASTICITY, 4.0)
    assert not costs.hierarchy.far
    economy_problems = list(costs.problems(jnp.asarray(40.0), (0, 2), 20, len(ELASTICITY)))
    assert economy_problems == []
    kernel = costs.geography(jnp.asarray(40.0), (0, 2)).kernel
    assert np.isfinite(kernel.apply(jnp.ones((20, 2)))).all()


@pytest.fixture(scope="module")
def data(economies, found):
    """Data with coordinates of which the economy need not be the inversion."""
    latitude, longitude = coordinates("uniform", 40)
    return (
        data_from(economies["stored"], found)
        .drop_vars("iceberg_cost")
        .assign(latitude=("city", latitude), longitude=("city", longitude))
        .assign(distance_elasticity=("sector", [1.2, np.nan, 0.8, np.nan]))
    )


class TestInversion:
    def inverted(self, data, theta=4.0, **options):
        return sj.invert(data, trade_elasticity=theta, housing_share=0.2, **options)

    def test_does_not_depend_on_the_geography(self, data):
        """Neither do its derivatives in the trade elasticity."""

        def total(theta, geography="tiled"):
            economy = self.inverted(data, theta, geography=geography)
            return jnp.log(economy.amenity).sum(), economy

        slope, found = jax.grad(total, has_aux=True)(4.0)
        wanted = total(4.0, "stored")[1]
        assert isinstance(found.log_iceberg_cost, DistanceCosts)
        for name in ("fundamental_productivity", "amenity", "land"):
            np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-9, err_msg=name)
        for value in sj.evaluate_at(found, found.reference).by_block().values():
            assert float(value) < 1e-10
        finite = central_difference(lambda h: float(total(4.0 + h, "stored")[0]), 1e-2)
        assert float(slope) == pytest.approx(finite, rel=1e-7)

    def test_auto_stores_what_fits(self, data, monkeypatch):
        assert geographies.are_stored(data)
        monkeypatch.setattr(geographies, "STORED_SHARE", 0.0)
        assert isinstance(geographies.trade_costs(data, jnp.asarray(4.0)), DistanceCosts)
        with_distance = data.assign(distance=(("city", "origin"), np.full((40, 40), 30.0)))
        assert geographies.are_stored(with_distance)

    @pytest.mark.parametrize(
        ("geography", "match"),
        [("dense", "geography must be one of auto, stored, tiled"), ("tiled", "but the data give distance: drop it")],
    )
    def test_refuses(self, data, geography, match):
        with_distance = data.assign(distance=(("city", "origin"), np.full((40, 40), 30.0)))
        with pytest.raises(sj.errors.ModelError, match=match):
            self.inverted(with_distance, geography=geography)


def test_matrices_are_scaled_by_their_products():
    """All columns at once, also where one takes longer than the other."""
    point = unit_vectors(*map(jnp.asarray, coordinates("coast", 30)))
    kernel = TiledKernel.of(point, jnp.asarray([0.5, 2.5]), ColumnGroups((0, 1)))
    rng = np.random.default_rng(0)
    spending = jnp.asarray(rng.pareto(1.2, (30, 2)) + 0.01)
    earnings = jnp.asarray(rng.pareto(1.2, (30, 2)) + 0.01).at[3, 1].set(0.0)
    earnings = earnings * spending.sum(0) / earnings.sum(0)
    found = eqx.filter_jit(scale_kernel)(kernel, spending, earnings)
    assert float(found.error.max()) < 1e-11
    for j, exponent in enumerate((0.5, 2.5)):
        matrix = np.exp(-exponent * np.asarray(log_relative_distance(point, point)))
        strength = np.where(earnings[:, j] > 0, np.exp(found.potential[:, j]), 0)
        share = matrix * strength / (matrix @ strength)[:, None]
        np.testing.assert_allclose(share.T @ spending[:, j], earnings[:, j], rtol=1e-10, atol=1e-12)
