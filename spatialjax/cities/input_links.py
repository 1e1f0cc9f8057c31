"""Input-output links: the cost of inputs and the demand for them.

With gamma the value-added share and mu[input, sector] the mix of inputs (summing to one over input),
the share of an input in a sector's cost is G[n, i, j] = mu[i, j] (1 - gamma[n, j]).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from spatialjax.typing import CitySector


class InputLinks(eqx.Module):
    """How sectors mix their inputs."""

    def log_cost(self, log_price: CitySector, value_added_share: CitySector) -> CitySector:
        """Contribution of inputs to log unit cost, sum_i G[n, i, j] log P[n, i]."""
        raise NotImplementedError

    def demand(self, gross_output: CitySector, value_added_share: CitySector) -> CitySector:
        """Spending on each sector's good as an input, sum_j G[n, i, j] Y[n, j], in dollars."""
        raise NotImplementedError

    def uses(self, spends: CitySector) -> Bool[Array, "city sector"]:
        """Whether a sector's good is an input of some sector of the city that spends (a positive number) on inputs."""
        raise NotImplementedError


class NationalInputMix(InputLinks):
    """One mix for all cities (CH section 4.4): `mix` has shape (input, sector), columns sum to one."""

    mix: Float[Array, "input sector"]

    def log_cost(self, log_price, value_added_share):
        return (1 - value_added_share) * (log_price @ self.mix)

    def demand(self, gross_output, value_added_share):
        return ((1 - value_added_share) * gross_output) @ self.mix.T

    def uses(self, spends):
        return ((spends > 0).astype(self.mix.dtype) @ (self.mix != 0).T.astype(self.mix.dtype)) > 0


class CityInputMix(InputLinks):
    """A mix for each city: `mix` has shape (city, input, sector)."""

    mix: Float[Array, "city input sector"]

    def log_cost(self, log_price, value_added_share):
        return (1 - value_added_share) * jnp.einsum("nij,ni->nj", self.mix, log_price)

    def demand(self, gross_output, value_added_share):
        return jnp.einsum("nij,nj->ni", self.mix, (1 - value_added_share) * gross_output)

    def uses(self, spends):
        return ((self.mix != 0) & (spends > 0)[:, None, :]).any(2)
