"""Where workers live: the closures of location choice.

A closure says how many workers each place would have (`log_employment`), and what those who may choose expect
(`welfare`). It is a field of the economy, so that every question about the economy is asked under it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from spatialjax.cities.preferences import log_location_share
from spatialjax.numerics.safe_math import masked_divide, masked_log
from spatialjax.typing import ByCity, CityOccupation

GroupOccupation = Float[Array, "group occupation"]
Welfare = Float[Array, "*group occupation"]


class Mobility(eqx.Module):
    """A rule for the supply of workers to cities."""

    def log_employment(self, attraction: CityOccupation, log_employment: CityOccupation, economy) -> CityOccupation:
        """Log employment that workers choose, city by occupation; 0 where none can live.

        `attraction` is how strongly cities attract (`preferences.log_attraction`), `log_employment` where workers are
        now: at an equilibrium the two agree.
        """
        raise NotImplementedError

    def welfare(
        self, attraction: CityOccupation, employment: CityOccupation, economy
    ) -> Float[Array, "*group occupation"]:
        """Expected utility in units of real consumption: by occupation, or by group of cities and occupation."""
        raise NotImplementedError


class FreeMobility(Mobility):
    """Workers with tastes of their own choose among all cities (CH section 3.1)."""

    def log_employment(self, attraction, log_employment, economy):
        lives = attraction > -jnp.inf
        return jnp.where(lives, jnp.log(economy.population) + log_location_share(attraction), 0.0)

    def welfare(self, attraction, employment, economy):
        return economy.preferences.welfare(attraction, economy.location_elasticity)


class FixedEmployment(Mobility):
    """Workers stay where they are: `fixed_log_employment` (city, occupation).

    Welfare is what each place offers, A C, by city and occupation; 0 where none can live.
    """

    fixed_log_employment: CityOccupation

    def log_employment(self, attraction, log_employment, economy):
        return self.fixed_log_employment

    def welfare(self, attraction, employment, economy):
        lives = attraction > -jnp.inf
        utility = jnp.where(lives, attraction, 0.0) / economy.location_elasticity
        return jnp.where(lives, economy.preferences.worth(utility), 0.0)


class MobilityWithinGroups(Mobility):
    """Workers with tastes of their own choose among the cities of their group, a country say.

    - `group`: the group of each city, numbered from 0.
    - `population`: workers by group and occupation.
    """

    group: tuple[int, ...] = eqx.field(static=True)
    population: GroupOccupation

    def log_employment(self, attraction, log_employment, economy):
        lives = attraction > -jnp.inf
        share = attraction - self._among(_log_sum(attraction, self.group))
        return jnp.where(lives, self._among(masked_log(self.population)) + share, 0.0)

    def welfare(self, attraction, employment, economy):
        choose = lambda one: economy.preferences.welfare(one, economy.location_elasticity)  # noqa: E731
        by_group = _by_group(attraction, self.group)
        somewhere = (by_group > -jnp.inf).any(1)
        return jnp.where(somewhere, jax.vmap(choose)(jnp.where(somewhere[:, None, :], by_group, 0.0)), 0.0)

    def _among(self, by_group: GroupOccupation) -> CityOccupation:
        return by_group[jnp.asarray(self.group)]


class PerfectMobility(Mobility):
    """Workers without tastes of their own: utility is equal wherever anyone lives (a location elasticity of infinity).

    - `group`: the group of each city, numbered from 0; workers choose among the cities of their group.
    - `population`: workers by group and occupation.
    - `pace`: log points by which a place fills up for each log point of utility above its group's mean, in the search
      for an equilibrium and in [`stability`][]; no equilibrium, and no sign of stability, depends on it.

    Without congestion (land, or amenities that fall with size) there need be no equilibrium.
    """

    group: tuple[int, ...] = eqx.field(static=True)
    population: GroupOccupation
    pace: float = eqx.field(static=True, default=5.0)

    @classmethod
    def among_all(cls, population: Float[Array, " occupation"], cities: int) -> "PerfectMobility":
        """Workers choose among all cities; `population` by occupation."""
        return cls((0,) * cities, jnp.asarray(population)[None, :])

    def log_employment(self, attraction, log_employment, economy):
        lives = attraction > -jnp.inf
        present = jnp.where(lives, jnp.exp(log_employment), 0.0)
        utility, mean, total = self._utility(attraction, present, economy)
        index = jnp.asarray(self.group)
        missing = masked_log(self.population) - masked_log(total)
        return jnp.where(lives, log_employment + self.pace * (utility - mean[index]) + missing[index], 0.0)

    def welfare(self, attraction, employment, economy):
        """A C of those who live in the group's cities, the same in all; 0 where none can live."""
        _, mean, total = self._utility(attraction, employment, economy)
        return jnp.where(total > 0, economy.preferences.worth(mean), 0.0)

    def _utility(
        self, attraction: CityOccupation, people: CityOccupation, economy
    ) -> tuple[CityOccupation, GroupOccupation, GroupOccupation]:
        """Utility by city, 0 where none can live; its mean over people of each group; and how many these are."""
        lives = attraction > -jnp.inf
        utility = jnp.where(lives, jnp.where(lives, attraction, 0.0) / economy.location_elasticity, 0.0)
        index = jnp.asarray(self.group)
        total = jax.ops.segment_sum(people, index, self.population.shape[0])
        sum_of_utility = jax.ops.segment_sum(people * utility, index, self.population.shape[0])
        return utility, masked_divide(sum_of_utility, total, total > 0), total


def _by_group(attraction: CityOccupation, group: tuple[int, ...]) -> Float[Array, "group city occupation"]:
    """Attractions of the cities of each group, minus infinity elsewhere."""
    member = jnp.asarray(group)[None, :] == jnp.arange(max(group) + 1)[:, None]
    return jnp.where(member[:, :, None], attraction[None], -jnp.inf)


def _log_sum(attraction: CityOccupation, group: tuple[int, ...]) -> GroupOccupation:
    return jax.scipy.special.logsumexp(_by_group(attraction, group), axis=1)


def group_of_city(group: ByCity | tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Numbers of the groups of cities, and the names of the groups, in order of appearance."""
    names = tuple(dict.fromkeys(str(name) for name in group))
    return tuple(names.index(str(name)) for name in group), names
