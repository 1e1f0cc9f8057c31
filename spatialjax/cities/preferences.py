"""Preferences: how consumption and the amenities of a place make utility, and what follows from it.

Workers of occupation k choose city n with probability proportional to exp(nu (log A[n, k] + u(C[n, k]))).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, logsumexp

from spatialjax.numerics.safe_math import masked_log
from spatialjax.typing import ByOccupation, CityOccupation, CityOccupationOrOne, Scalar


class Preferences(eqx.Module):
    """How consumption and amenities combine.

    Amenities are positive, and 0 where an occupation cannot live.
    """

    def utility(self, consumption: CityOccupation) -> CityOccupation:
        """u(C), in the units of the log of amenities."""
        raise NotImplementedError

    def worth(self, utility: CityOccupation) -> CityOccupation:
        """What a place offers without tastes, log A + u(C), in units of real consumption."""
        raise NotImplementedError

    def welfare(self, log_attraction: CityOccupation, elasticity: Scalar) -> ByOccupation:
        """Expected utility of each occupation before tastes are drawn, in units of real consumption."""
        raise NotImplementedError

    def log_amenity_scale(self, welfare: ByOccupation, elasticity: Scalar) -> ByOccupation:
        """Log of the factor on amenities that gives this welfare where attractions sum to one."""
        raise NotImplementedError

    def location_tax(
        self, social_product: CityOccupation, price_index: CityOccupationOrOne, elasticity: Scalar
    ) -> CityOccupation:
        """What the planner takes for living in a place where consumption is worth less to the marginal worker.

        Dollars a year, up to a constant by occupation (CH Proposition 1, eq. 11).
        """
        raise NotImplementedError

    def cost_of_welfare(
        self,
        spending: ByOccupation,
        price_of_workers: ByOccupation,
        welfare: ByOccupation,
    ) -> ByOccupation:
        """Dollars by which the planner values a unit of each occupation's welfare, up to one constant.

        `spending` is sum_n P C L, `price_of_workers` sum_n P L.
        """
        raise NotImplementedError

    def gain_unit(self, welfare: ByOccupation, mean_consumption: ByOccupation) -> ByOccupation:
        """What a gain in welfare is measured in, at an equilibrium with this welfare and real consumption."""
        raise NotImplementedError


class MultiplicativeAmenities(Preferences):
    """U = a A C with Frechet tastes a of shape nu (CH section 3.1)."""

    def utility(self, consumption):
        return masked_log(consumption)

    def worth(self, utility):
        return jnp.exp(utility)

    def welfare(self, log_attraction, elasticity):
        """v[k] = Gamma((nu - 1) / nu) (sum_n (A C)^nu)^(1/nu) (CH section 5.1)."""
        log_sum = logsumexp(log_attraction, axis=0)
        return jnp.exp(gammaln((elasticity - 1) / elasticity) + log_sum / elasticity)

    def log_amenity_scale(self, welfare, elasticity):
        return jnp.log(welfare) - gammaln((elasticity - 1) / elasticity)

    def location_tax(self, social_product, price_index, elasticity):
        """The tax of rate 1 / (1 + nu) on the social product of labour."""
        return social_product / (1 + elasticity)

    def cost_of_welfare(self, spending, price_of_workers, welfare):
        return spending / welfare

    def gain_unit(self, welfare, mean_consumption):
        """Welfare itself: gains are proportional."""
        return welfare


class AdditiveAmenities(Preferences):
    """U = a + A + C with Gumbel tastes a (CH section 7.3).

    `unit` is real consumption in dollars in which tastes and amenities are measured: the scale of tastes is
    unit / nu (CH's 1 / nu), and an additive amenity is unit * log(amenity).
    """

    unit: Scalar

    def utility(self, consumption):
        return consumption / self.unit

    def worth(self, utility):
        return self.unit * utility

    def welfare(self, log_attraction, elasticity):
        """v[k] = log(sum_n exp(nu (A + C) / unit)) unit / nu."""
        return self.unit / elasticity * logsumexp(log_attraction, axis=0)

    def log_amenity_scale(self, welfare, elasticity):
        return welfare / self.unit

    def location_tax(self, social_product, price_index, elasticity):
        """The price of the consumption that a worker's taste for a place is worth, P unit / nu (CH eq. 11)."""
        return jnp.broadcast_to(price_index * self.unit / elasticity, social_product.shape)

    def cost_of_welfare(self, spending, price_of_workers, welfare):
        return price_of_workers

    def gain_unit(self, welfare, mean_consumption):
        """Mean real consumption: this utility has no natural zero."""
        return mean_consumption


def log_attraction(
    preferences: Preferences, amenity: CityOccupation, consumption: CityOccupation, elasticity: Scalar
) -> CityOccupation:
    """Log of how strongly each city attracts, nu (log A + u(C)); minus infinity where none can live."""
    value = elasticity * (masked_log(amenity) + preferences.utility(consumption))
    return jnp.where(amenity > 0, value, -jnp.inf)


def log_location_share(attraction: CityOccupation) -> CityOccupation:
    """Log share of each occupation's workers that chooses each city (CH eq. 2); 0 where none can."""
    return jnp.where(attraction > -jnp.inf, jax.nn.log_softmax(attraction, axis=0), 0.0)
