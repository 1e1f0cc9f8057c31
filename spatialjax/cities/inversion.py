"""Inversion: the economy of which the data are an equilibrium (CH Lemma 1)."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float

from spatialjax.cities.accounts import Accounts, MendedSector, build_accounts
from spatialjax.cities.checks import check_choice, check_module, check_parameter, check_ranges
from spatialjax.cities.consumption import by_occupation, log_price_index
from spatialjax.cities.distance_costs import RELATIVE_ERROR
from spatialjax.cities.economy import Economy, Labels
from spatialjax.cities.externalities import checked_amenity_shift, checked_shift
from spatialjax.cities.geographies import GEOGRAPHIES, trade_costs
from spatialjax.cities.input_links import NationalInputMix
from spatialjax.cities.preferences import AdditiveAmenities, MultiplicativeAmenities, Preferences
from spatialjax.cities.spillovers import NoAmenitySpillover, OccupationSpillover
from spatialjax.cities.state import State
from spatialjax.cities.trade import Geography, TradeCosts, trade
from spatialjax.data.checks import check_data
from spatialjax.data.schema import city_names, traded_sectors, values
from spatialjax.errors import ConvergenceError, DataError, ModelError
from spatialjax.numerics.matrix_scaling import ACCEPTED, Scaling, scale_kernel
from spatialjax.numerics.precision import require_double_precision
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import ByCity, CityOccupation, CityOccupationSector, CitySector, Scalar, SectorCityOrigin


def invert(
    data: xr.Dataset,
    *,
    trade_elasticity: Any = 10.0,
    location_elasticity: Any = 2.02,
    occupation_substitution: Any = 2.0,
    housing_share: float | Sequence[float] = 0.2,
    minimum_consumption_share: float | None = 0.001,
    spillover: Callable[[CityOccupation], Array] | None = None,
    amenities: str = "multiplicative",
    amenity_spillover: Callable[[CityOccupation], Array] | None = None,
    geography: str = "auto",
    relative_error: float = RELATIVE_ERROR,
) -> Economy:
    """Recover the economy of which the data are an equilibrium (CH Lemma 1, section 4.4).

    Differentiable in the three elasticities and in the leaves of `spillover`.

    **Arguments:**

    - `data`: a dataset as [`load_data`][] returns it.
    - `trade_elasticity`: theta, a number or one by sector. The data's `distance_elasticity` is theta
      times the exponent of distance, so that theta does not change trade shares here.
    - `location_elasticity`: nu > 1. `occupation_substitution`: epsilon, positive and not 1.
    - `housing_share`: consumption share of the land-using sector, a number or one by occupation (CH section
      7.4); then the other shares of each occupation scale, so that the aggregate shares are those of the data.
    - `minimum_consumption_share`: see [`build_accounts`][]; what it changed is in `Economy.mended`.
    - `spillover`: externalities, by default `OccupationSpillover()`; a callable module from employment
      to a shift of log productivity.
    - `amenities`: "multiplicative" (Frechet tastes, CH section 3.1) or "additive" (Gumbel tastes of the same
      elasticity at mean consumption, CH section 7.3; see [`AdditiveAmenities`][]).
    - `amenity_spillover`: a callable module from employment to a shift of log amenity; by default none.
    - `geography`: how trade costs are held. "stored": as an array (sector, city, origin), and so is the kernel. "tiled"
      and "hierarchical": from coordinates, by [`DistanceCosts`][], without an array of pairs of cities. "auto": stored
      where costs and kernels fit an eighth of the memory or the data give distances or costs, else hierarchical.
    - `relative_error`: of the hierarchical geography, a bound on the error of every element of the trade kernel.

    **Raises:** `DataError` listing everything that is wrong with the data; `ModelError` for parameters out
    of range; `PrecisionError` unless double precision is enabled.
    """
    require_double_precision("inversion")
    for name, value in (
        ("trade_elasticity", trade_elasticity),
        ("location_elasticity", location_elasticity),
        ("occupation_substitution", occupation_substitution),
        ("housing_share", housing_share),
        ("minimum_consumption_share", 0.0 if minimum_consumption_share is None else minimum_consumption_share),
    ):
        check_parameter(name, value)
    check_choice("amenities", amenities, AMENITIES)
    check_choice("geography", geography, GEOGRAPHIES)
    for name, module, wanted in (
        ("spillover", spillover, "a shift of log productivity"),
        ("amenity_spillover", amenity_spillover, "a shift of log amenity"),
    ):
        if module is not None:
            check_module(name, module, wanted)
    check_data(data)
    accounts = build_accounts(
        data,
        housing_share=housing_share,
        minimum_consumption_share=minimum_consumption_share,
    )
    return economy_from_accounts(
        data,
        accounts,
        trade_elasticity=trade_elasticity,
        location_elasticity=location_elasticity,
        occupation_substitution=occupation_substitution,
        spillover=OccupationSpillover() if spillover is None else spillover,
        amenities=amenities,
        amenity_spillover=amenity_spillover,
        geography=geography,
        relative_error=relative_error,
    )


AMENITIES = ("multiplicative", "additive")


def economy_from_accounts(
    data: xr.Dataset,
    accounts: Accounts,
    *,
    trade_elasticity: Any,
    location_elasticity: Any,
    occupation_substitution: Any,
    spillover: Callable[[CityOccupation], Array],
    amenities: str = "multiplicative",
    amenity_spillover: Callable[[CityOccupation], Array] | None = None,
    geography: str = "auto",
    relative_error: float = RELATIVE_ERROR,
) -> Economy:
    """The second half of inversion: unit costs, productivity, land and amenities from accounts."""
    elasticity = jnp.asarray(trade_elasticity, float)
    sectors = data.sizes["sector"]
    if elasticity.shape not in ((), (sectors,)):
        raise ModelError(
            f"trade_elasticity has shape {elasticity.shape}; give one number or one for each of {sectors} sectors"
        )
    labels = Labels(
        city=tuple(city_names(data)),
        occupation=tuple(str(name) for name in data["occupation"].values),
        sector=tuple(str(name) for name in data["sector"].values),
    )
    economy, scaling = _recover(
        _Observed.of(data, accounts),
        trade_costs(data, elasticity, geography, relative_error=relative_error),
        elasticity,
        jnp.asarray(location_elasticity, float),
        jnp.asarray(occupation_substitution, float),
        spillover,
        amenities,
        NoAmenitySpillover() if amenity_spillover is None else amenity_spillover,
        labels,
        accounts.mended,
        tuple(int(j) for j in np.flatnonzero(traded_sectors(data))),
    )
    return _check_scaling(economy, scaling)


class _Observed(eqx.Module):
    """Data and accounts as arrays."""

    wage: CityOccupation
    employment: CityOccupationSector
    log_local_price: CitySector
    input_mix: Float[Array, "input sector"]
    consumption_share: Float[Array, "*occupation sector"]
    value_added_share: CitySector
    land_share: CitySector
    sets_rent: Bool[Array, " sector"]
    gross_output: CitySector
    expenditure: CitySector
    income: CityOccupation

    @classmethod
    def of(cls, data: xr.Dataset, accounts: Accounts) -> "_Observed":
        return cls(
            wage=jnp.asarray(accounts.wage),
            employment=jnp.asarray(accounts.employment),
            log_local_price=jnp.asarray(_log_local_price(data)),
            input_mix=jnp.asarray(accounts.input_mix),
            consumption_share=jnp.asarray(accounts.consumption_share),
            value_added_share=jnp.asarray(accounts.value_added_share),
            land_share=jnp.asarray(accounts.land_share),
            sets_rent=jnp.asarray(data["uses_land"].values.astype(bool)),
            gross_output=jnp.asarray(accounts.gross_output),
            expenditure=jnp.asarray(accounts.expenditure),
            income=jnp.asarray(accounts.income),
        )


def _log_local_price(data: xr.Dataset) -> np.ndarray:
    """Log prices of the sectors that are not traded: housing, as given, or 1."""
    price = np.ones((data.sizes["city"], data.sizes["sector"]))
    local = ~traded_sectors(data)
    if "nontradable_price" in data:
        price[:, local] = values(data, "nontradable_price")[:, local]
    price[:, data["uses_land"].values.astype(bool)] = values(data, "housing_price")[:, None]
    return np.log(price)


@eqx.filter_jit
def _recover(
    observed: _Observed,
    log_iceberg: SectorCityOrigin | TradeCosts,
    trade_elasticity: Float[Array, "*sector"],
    location_elasticity: Scalar,
    occupation_substitution: Scalar,
    spillover: Callable[[CityOccupation], Array],
    amenities: str,
    amenity_spillover: Callable[[CityOccupation], Array],
    labels: Labels,
    mended: tuple[MendedSector, ...],
    traded: tuple[int, ...],
) -> tuple[Economy, Scaling]:
    geography = Geography.of(log_iceberg, trade_elasticity, traded)
    operating = observed.employment.sum(1) > 0
    log_unit_cost, scaling = _unit_costs(observed, geography, operating)
    log_price, _ = trade(geography, log_unit_cost, observed.expenditure, operating)

    links = NationalInputMix(observed.input_mix)
    log_factor_cost = (
        log_unit_cost - links.log_cost(log_price, observed.value_added_share)
    ) / observed.value_added_share
    log_productivity, log_rent = _productivity_and_rent(observed, log_factor_cost, occupation_substitution)
    employment = observed.employment.sum(2)
    shift = checked_shift(spillover, employment, observed.employment.shape)
    employed = observed.employment > 0
    fundamental = jnp.where(employed, jnp.exp(jnp.where(employed, log_productivity - shift, 0.0)), 0.0)

    consumption = _real_consumption(observed, log_price)
    preferences = _preferences(amenities, consumption, employment)
    amenity_shift = checked_amenity_shift(amenity_spillover, employment)
    amenity = _amenity(preferences, consumption, employment, location_elasticity)

    land_income = (observed.land_share * observed.value_added_share * observed.gross_output).sum(1)
    economy = Economy(
        spillover=spillover,
        fundamental_productivity=fundamental,
        amenity=amenity * jnp.exp(-amenity_shift),
        trade_elasticity=trade_elasticity,
        location_elasticity=location_elasticity,
        occupation_substitution=occupation_substitution,
        consumption_share=observed.consumption_share,
        value_added_share=observed.value_added_share,
        land_share=observed.land_share,
        input_links=links,
        log_iceberg_cost=log_iceberg,
        land=land_income * jnp.exp(-log_rent),
        population=employment.sum(0),
        wage_bill=(observed.wage * employment).sum(),
        reference=State(
            log_wage=masked_log(observed.wage),
            log_employment=masked_log(employment),
            log_rent=log_rent,
            log_price=log_price,
            log_expenditure=jnp.log(observed.expenditure),
        ),
        traded=traded,
        labels=labels,
        mended=mended,
        preferences=preferences,
        amenity_spillover=amenity_spillover,
    )
    return economy, scaling


def _unit_costs(
    observed: _Observed, geography: Geography, operating: Bool[Array, "city sector"]
) -> tuple[CitySector, Scaling]:
    """Log unit costs at which the observed output is what cities buy (CH Lemma 1, item 2).

    Units of goods: the geometric mean over producing cities is one in every traded sector.
    """
    scaling = scale_kernel(
        geography.kernel, geography.select(observed.expenditure), geography.select(observed.gross_output)
    )
    sells = geography.select(operating)
    log_cost = -scaling.potential / geography.elasticity
    log_cost = log_cost - jnp.where(sells, log_cost, 0.0).sum(0) / sells.sum(0)
    local = observed.log_local_price - geography.log_own_cost
    return geography.replace(local, jnp.where(sells, log_cost, 0.0)), scaling


def _productivity_and_rent(
    observed: _Observed, log_factor_cost: CitySector, substitution: Scalar
) -> tuple[CityOccupationSector, ByCity]:
    """Log productivity of labour, and log rent, from factor costs and wage-bill shares (Lemma 1, item 3).

    In the sector that lets housing labour's share can be tiny, and productivity loaded on it would be astronomic: it
    is loaded on land, and labour's has geometric mean one over occupations. Its price determines rent; other sectors
    that use land pay that, and productivity is loaded on their labour.
    """
    wage_bill = observed.wage[:, :, None] * observed.employment
    employed = wage_bill > 0
    share = masked_divide(wage_bill, wage_bill.sum(1, keepdims=True), employed)
    relative = jnp.where(employed, masked_log(observed.wage)[:, :, None] + masked_log(share) / (substitution - 1), 0.0)
    mean = relative.sum(1) / jnp.maximum(employed.sum(1), 1)
    beta = observed.land_share
    log_rent = masked_divide(log_factor_cost - (1 - beta) * mean, beta, (beta > 0) & observed.sets_rent).sum(1)
    log_labour_cost = jnp.where(observed.sets_rent, mean, (log_factor_cost - beta * log_rent[:, None]) / (1 - beta))
    return relative - log_labour_cost[:, None, :], log_rent


def _real_consumption(observed: _Observed, log_price: CitySector) -> CityOccupation:
    """C[n, k], dollars a year at the price index; 0 where nobody lives."""
    income = jnp.where(observed.employment.sum(2) > 0, observed.income, 0.0)
    return income / by_occupation(jnp.exp(log_price_index(log_price, observed.consumption_share)))


def _preferences(amenities: str, consumption: CityOccupation, employment: CityOccupation) -> Preferences:
    """Additive tastes are measured in mean consumption: nu then means the same as with multiplicative ones."""
    if amenities == "multiplicative":
        return MultiplicativeAmenities()
    return AdditiveAmenities((employment * consumption).sum() / employment.sum())


def _amenity(
    preferences: Preferences, consumption: CityOccupation, employment: CityOccupation, location_elasticity: Scalar
) -> CityOccupation:
    """Amenities that make workers choose their cities (Lemma 1, item 4).

    Scaled so that each occupation's welfare in the data equals its mean real consumption.
    """
    log_share = masked_log(employment / employment.sum(0))
    mean_consumption = (employment * consumption).sum(0) / employment.sum(0)
    log_amenity = log_share / location_elasticity - preferences.utility(consumption)
    log_amenity = log_amenity + preferences.log_amenity_scale(mean_consumption, location_elasticity)
    return jnp.where(employment > 0, jnp.exp(log_amenity), 0.0)


def _check_scaling(economy: Economy, scaling: Scaling) -> Economy:
    if isinstance(scaling.error, jax.core.Tracer):
        return eqx.error_if(economy, ~(scaling.error < ACCEPTED).all(), "inversion did not find unit costs")
    errors = np.nan_to_num(np.asarray(scaling.error), nan=np.inf)
    if not (errors < ACCEPTED).all():
        sector = int(errors.argmax())
        raise ConvergenceError(
            f"inversion did not find unit costs in sector {economy.labels.sector[economy.traded[sector]]}: what "
            f"{economy.labels.city[int(scaling.worst[sector])]} sells differs from what it produces by "
            f"{errors[sector]:.1e} in logs. Check trade costs to and from that city, and its employment in the sector"
        )
    check_ranges(economy)
    return economy


def validate(
    data: xr.Dataset, *, housing_share: float | Sequence[float] = 0.2, minimum_consumption_share: float | None = 0.001
) -> Sequence[str]:
    """Everything that keeps `data` from being inverted, in words; empty if nothing does."""
    try:
        check_parameter("housing_share", housing_share)
        check_parameter(
            "minimum_consumption_share", 0.0 if minimum_consumption_share is None else minimum_consumption_share
        )
        check_data(data)
        build_accounts(data, housing_share=housing_share, minimum_consumption_share=minimum_consumption_share)
    except DataError as error:
        return error.problems
    return ()
