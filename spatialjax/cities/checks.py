"""Checks of an economy before it is solved."""

from collections.abc import Collection
from typing import Any

import jax
import numpy as np

from spatialjax.cities.cost_forms import trade_costs_problems
from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.location import FixedEmployment, FreeMobility
from spatialjax.cities.state import State
from spatialjax.cities.trade import TradeCosts
from spatialjax.errors import ModelError


def check_economy(economy: Economy) -> None:
    """Refuse an economy that cannot have an equilibrium, naming what is wrong.

    Shapes are always checked, values only where they are concrete: inside `jax.jit` or `jax.grad` what is
    traced passes.
    """
    if not isinstance(economy, Economy):
        raise ModelError(f"an Economy is needed, as invert returns it, found {type(economy).__name__}")
    for stage in STAGES:
        if problems := list(stage(economy)):
            raise ModelError("; ".join(problems[:5]))


def check_start(start: Any, economy: Economy) -> None:
    """Refuse a start that is none, or that is of an economy of another size."""
    if not isinstance(start, State):
        raise ModelError(f"initial must be an Equilibrium or a State, found {type(start).__name__}")
    found, wanted = (s.log_employment.shape + s.log_price.shape for s in (start, economy.reference))
    if found != wanted:
        raise ModelError(
            f"initial has (cities, occupations, cities, sectors) = {found}, but the economy {wanted}: "
            "start from an equilibrium of the same cities, occupations and sectors"
        )


def check_parameter(name: str, value: Any) -> None:
    """Refuse a parameter out of its range, by name; a traced one passes."""
    if not _concrete(value):
        return
    wanted, holds = RANGES[name]
    found = _as_numbers(value)
    if found is None:
        raise ModelError(f"{name} must be a number, found {value!r}")
    if found.ndim and (AXES.get(name) == () or name == "minimum_consumption_share"):
        raise ModelError(f"{name} must be one number, found shape {found.shape}")
    if not (np.isfinite(found) & holds(found)).all():
        raise ModelError(f"{name} must be {wanted}, found {found}")


def _as_numbers(value: Any) -> np.ndarray | None:
    """An array of numbers; none if these are none, or lists of different lengths."""
    try:
        found = np.asarray(value)
    except (ValueError, TypeError):
        return None
    return found if found.dtype.kind in "fiu" else None


def check_choice(name: str, value: Any, known: Collection[str]) -> None:
    """Refuse what is not one of the words that an argument can be."""
    if not isinstance(value, str) or value not in known:
        raise ModelError(f"{name} must be one of {', '.join(known)}, found {value!r}")


def check_module(name: str, value: Any, wanted: str) -> None:
    """Refuse as a component of a model what cannot be called, such as an array or a class."""
    if not callable(value) or isinstance(value, type):
        raise ModelError(f"{name} must be a callable module that returns {wanted}, found {value!r}")


def check_ranges(economy: Economy) -> None:
    """Refuse the economy of data with numbers that none can have; those inside a JAX transformation pass."""
    if problems := list(_range_problems(economy)):
        raise ModelError(f"the data and these parameters make no economy: {'; '.join(problems[:5])}")


def _concrete(*arrays) -> bool:
    return not any(isinstance(array, jax.core.Tracer) for array in arrays)


SHARE_TOLERANCE = 1e-6
LARGEST = 1e100
"""What no number of an economy reaches: products of a few such numbers are still finite."""

RANGES = {
    "trade_elasticity": ("positive", lambda x: x > 0),
    "location_elasticity": ("above 1", lambda x: x > 1),
    "occupation_substitution": ("positive and not 1", lambda x: (x > 0) & (x != 1)),
    "housing_share": ("between 0 and 1", lambda x: (x > 0) & (x < 1)),
    "minimum_consumption_share": ("at least 0 and below 1", lambda x: (x >= 0) & (x < 1)),
    "population": ("positive", lambda x: x > 0),
    "wage_bill": ("positive", lambda x: x > 0),
    "fundamental_productivity": ("zero or positive", lambda x: x >= 0),
    "amenity": ("zero or positive", lambda x: x >= 0),
    "land": ("zero or positive", lambda x: x >= 0),
    "consumption_share": ("zero or positive", lambda x: x >= 0),
    "value_added_share": ("above 0 and at most 1", lambda x: (x > 0) & (x <= 1)),
    "land_share": ("between 0 and 1", lambda x: (x >= 0) & (x <= 1)),
}


def _range_problems(economy: Economy):
    for name, (wanted, holds) in RANGES.items():
        value = getattr(economy, name, None)
        if value is None or not _concrete(value):
            continue
        value = np.asarray(value)
        bad: np.ndarray = np.asarray(~((np.abs(value).astype(float) < LARGEST) & holds(value)))
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0]) if value.ndim else ()
            large = f" and below {LARGEST:g}" if float(np.abs(value[where])) >= LARGEST else ""
            yield f"{name} must be {wanted}{large}, found {value[where]:g}{_place(economy, name, where)}"


def _module_problems(economy: Economy):
    """Numbers of externalities and preferences that are none."""
    for name in ("spillover", "amenity_spillover", "preferences"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(getattr(economy, name)):
            if not isinstance(leaf, (float, np.ndarray, jax.Array)) or not _concrete(leaf):
                continue
            values = np.asarray(leaf)
            bad = values[~np.isfinite(values)] if values.dtype.kind == "f" else values[:0]
            if bad.size:
                yield f"{name}{jax.tree_util.keystr(path)} must be finite, found {bad.flat[0]:g}"


def _shape_problems(economy: Economy):
    sizes = {axis: len(getattr(economy.labels, axis)) for axis in ("city", "occupation", "sector")}
    sizes["origin"] = sizes["city"]
    for name, axes in AXES.items():
        leaf = getattr(economy, name)
        if isinstance(leaf, TradeCosts):
            continue
        wanted = tuple(sizes[axis] for axis in axes)
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            yield f"{name} must be an array, found {type(leaf).__name__}: write jnp.asarray({leaf})"
        elif leaf.shape != wanted and leaf.shape not in _other_shapes(name, sizes):
            yield f"{name} has shape {leaf.shape}, but must have {wanted} ({', '.join(axes) or 'a number'})"


def _other_shapes(name: str, sizes: dict[str, int]) -> list[tuple[int, ...]]:
    """Shapes that a leaf may have besides that of `AXES`."""
    others: dict[str, list[tuple[int, ...]]] = {
        "trade_elasticity": [()],
        "consumption_share": [
            (sizes["occupation"], sizes["sector"]),
            (sizes["city"], sizes["occupation"], sizes["sector"]),
            (sizes["city"], 1, sizes["sector"]),
        ],
    }
    return others.get(name, [])


AXES = {
    "amenity": ("city", "occupation"),
    "land": ("city",),
    "population": ("occupation",),
    "trade_elasticity": ("sector",),
    "consumption_share": ("sector",),
    "value_added_share": ("city", "sector"),
    "land_share": ("city", "sector"),
    "fundamental_productivity": ("city", "occupation", "sector"),
    "log_iceberg_cost": ("sector", "city", "origin"),
    "location_elasticity": (),
    "occupation_substitution": (),
    "wage_bill": (),
}


def _place(economy: Economy, name: str, where: tuple[int, ...]) -> str:
    names = [getattr(economy.labels, axis)[i] for axis, i in zip(AXES.get(name, ()), where, strict=False)]
    return f" ({', '.join(names)})" if names else ""


def _share_problems(economy: Economy):
    yield from _mix_problems(economy)
    shares = economy.consumption_share
    if not _concrete(shares):
        return
    totals = np.asarray(shares).sum(-1)
    for where in np.argwhere(np.abs(totals - 1) > SHARE_TOLERANCE):
        yield (
            f"consumption_share must sum to 1{_whose(economy, np.shape(shares), where)}, "
            f"found {totals[tuple(where)]:.8f}"
        )


def _whose(economy: Economy, shape: tuple[int, ...], where: np.ndarray) -> str:
    """Whose consumption shares these are, in words; nothing where they are everybody's."""
    labels = economy.labels
    match len(shape):
        case 1:
            return ""
        case 2:
            return f" for {labels.occupation[where[0]]}"
    who = f"{labels.occupation[where[1]]} in " if shape[1] == len(labels.occupation) else ""
    return f" for {who}{labels.city[where[0]]}"


def _mix_problems(economy: Economy):
    mix = getattr(economy.input_links, "mix", None)
    if mix is None or not _concrete(mix, economy.value_added_share):
        return
    if np.ndim(mix) not in (2, 3):
        yield f"input_links.mix must have axes (input, sector), or those and city first, found shape {np.shape(mix)}"
        return
    total = np.asarray(mix).sum(-2)
    share = np.asarray(economy.value_added_share)
    buys: np.ndarray = np.asarray(share < 1 if np.ndim(mix) == 3 else share.min(0) < 1)
    bad = ~(np.abs(total - 1) <= SHARE_TOLERANCE) & buys
    for j in np.flatnonzero(np.atleast_2d(bad).any(0)):
        yield f"input_links.mix must sum to 1 over inputs, but does not in sector {economy.labels.sector[j]}"


def _cell_problems(economy: Economy):
    """Workers without a sector, sectors without workers, land without a use."""
    productivity, amenity = economy.fundamental_productivity, economy.amenity
    if not _concrete(productivity, amenity, economy.land, economy.land_share):
        return
    works = (np.asarray(productivity) > 0) & (np.asarray(amenity) > 0)[:, :, None]
    labels = economy.labels
    for n, k in np.argwhere(~works.any(axis=2) & (np.asarray(amenity) > 0)):
        yield (
            f"{labels.occupation[k]} can live in {labels.city[n]} (amenity is positive) but work in no sector there "
            "(fundamental_productivity is zero): set that amenity to zero, or a productivity above it"
        )
    landless = (np.asarray(economy.land_share) > 0).any(1) & (np.asarray(economy.land) == 0)
    for n in np.flatnonzero(landless):
        yield f"land is zero in {labels.city[n]}, where land_share is positive"
    # What is made of land alone needs no workers.
    operating: np.ndarray = np.asarray(works.any(axis=1) | (np.asarray(economy.land_share) == 1))
    for sector in sorted(set(range(operating.shape[1])) - set(economy.traded)):
        for city in np.flatnonzero(~operating[:, sector])[:3]:
            yield (
                f"fundamental_productivity is zero in {economy.labels.sector[sector]} of "
                f"{economy.labels.city[city]}, a sector that is not traded: nobody could supply that city"
            )


def _supply_problems(economy: Economy):
    """Traded goods that a city can buy from nobody; costs that are no numbers."""
    if isinstance(economy.log_iceberg_cost, TradeCosts):
        yield from trade_costs_problems(economy)
        return
    if not _concrete(economy.log_iceberg_cost, economy.fundamental_productivity, economy.amenity):
        return
    cost = np.asarray(economy.log_iceberg_cost)
    labels = economy.labels
    for j, n, m in np.argwhere(~(cost > -np.inf)):
        yield (
            f"log_iceberg_cost must be a number, or infinite where there is no trade, found {cost[j, n, m]} "
            f"({labels.sector[j]}, {labels.city[n]} from {labels.city[m]})"
        )
        return
    if economy.tariff is not None and _concrete(economy.tariff):
        yield from _tariff_problems(economy)
    works = (np.asarray(economy.fundamental_productivity) > 0) & (np.asarray(economy.amenity) > 0)[:, :, None]
    operating: np.ndarray = np.asarray(works.any(axis=1))
    for j in economy.traded:
        for n in np.flatnonzero(~((cost[j] < np.inf) & operating[:, j]).any(1)):
            yield f"nobody who produces {labels.sector[j]} can ship to {labels.city[n]} (log_iceberg_cost is infinite)"


def _tariff_problems(economy: Economy):
    rate, labels = np.asarray(economy.tariff), economy.labels
    wanted = (len(labels.sector), len(labels.city), len(labels.city))
    if rate.shape != wanted:
        yield f"tariff has shape {rate.shape}, but must have {wanted} (sector, city, origin)"
        return
    for j, n, m in np.argwhere(~((rate > -1) & (rate < np.inf)))[:1]:
        yield (
            f"tariff must be a rate above -1 (0.05 for five percent), found {rate[j, n, m]:g} "
            f"({labels.sector[j]}, {labels.city[n]} from {labels.city[m]})"
        )
    for j, n in np.argwhere(np.einsum("jnn->jn", rate) != 0)[:1]:
        yield f"tariff must be 0 on a city's own goods, found {rate[j, n, n]:g} ({labels.sector[j]}, {labels.city[n]})"


def _mobility_problems(economy: Economy):
    """Groups and populations that do not fit the cities and occupations."""
    mobility, labels = economy.mobility, economy.labels
    if isinstance(mobility, FixedEmployment):
        yield from _fixed_problems(mobility, labels)
        return
    group, population = getattr(mobility, "group", None), getattr(mobility, "population", None)
    if group is None or population is None:
        return
    if len(group) != len(labels.city):
        yield f"mobility.group names groups of {len(group)} cities, but there are {len(labels.city)}"
        return
    groups = max(group) + 1
    if sorted(set(group)) != list(range(groups)):
        yield f"mobility.group must number its groups 0 to {groups - 1} and use each, found {sorted(set(group))}"
        return
    wanted = (groups, len(labels.occupation))
    if np.shape(population) != wanted:
        yield f"mobility.population has shape {np.shape(population)}, but must have {wanted} (group, occupation)"
        return
    if not _concrete(population, economy.amenity):
        return
    values, lives = np.asarray(population), np.asarray(economy.amenity) > 0
    for g, k in np.ndindex(values.shape):
        somewhere = lives[np.asarray(group) == g, k].any()
        if not (0 <= values[g, k] < LARGEST) or (values[g, k] > 0) != somewhere:
            yield (
                f"mobility.population of {labels.occupation[k]} in group {g} must be "
                f"{'positive' if somewhere else 'zero, because they can live in none of its cities'}, "
                f"found {values[g, k]:g}"
            )


def _fixed_problems(mobility: FixedEmployment, labels: Labels):
    """Fixed employment of another size, or that is no number."""
    people, wanted = mobility.fixed_log_employment, (len(labels.city), len(labels.occupation))
    if np.shape(people) != wanted:
        yield f"mobility.fixed_log_employment has shape {np.shape(people)}, but must have {wanted} (city, occupation)"
    elif _concrete(people) and not np.isfinite(people).all():
        n, k = np.argwhere(~np.isfinite(people))[0]
        yield (
            f"mobility.fixed_log_employment must be finite, found {np.asarray(people)[n, k]:g} ({labels.occupation[k]} "
            f"in {labels.city[n]}); where none can live, set amenity to zero and it to any number"
        )


def refuse_unless_planned_for(economy: Economy, question: str) -> None:
    """Refuse what is asked about a planner under closures for which its conditions were not derived."""
    if type(economy.mobility) is not FreeMobility:
        raise ModelError(
            f"{question} is for workers who may live anywhere (FreeMobility), but mobility is "
            f"{type(economy.mobility).__name__}"
        )
    if economy.tariff is not None:
        raise ModelError(f"{question} is for economies without tariffs: set tariff=None")


STAGES = (
    _shape_problems,
    _range_problems,
    _module_problems,
    _share_problems,
    _cell_problems,
    _supply_problems,
    _mobility_problems,
)
"""What is wrong with an economy, the first first: a later stage reads what an earlier one has found sound."""
