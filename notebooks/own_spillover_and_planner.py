# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own spillover and planner
#
# An externality is a function from who works where to productivity. What it is worth, and what a planner makes of it,
# follows by automatic differentiation: no formula has to be derived again.

# %%
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import spatialjax as sj
from spatialjax.cities.distance import distances

jax.config.update("jax_enable_x64", True)

SMALL = bool(os.environ.get("SPATIALJAX_SMALL"))

data = sj.load_data("us-metros")
if SMALL:
    workers = data["employment"].sum(("occupation", "sector"))
    data = data.isel(city=np.sort(np.argsort(-workers.values)[:20]))
titles = [str(title) for title in data["title"].values]

# %% [markdown]
# ## A spillover that crosses city limits
#
# Productivity rises with employment nearby; how near counts falls with miles. Numbers in a module are arrays, so that
# results can be differentiated in them.


# %%
class NearbySpillover(eqx.Module):
    """log productivity rises by `size` times the log of employment within reach."""

    size: jax.Array
    proximity: jax.Array

    def __call__(self, employment):
        """The shift of log productivity (city, occupation, sector), here alike for the last two."""
        within_reach = self.proximity @ employment.sum(1)
        return (self.size * jnp.log(within_reach))[:, None, None]


proximity = jnp.exp(-jnp.asarray(distances(data)) / 100)
economy = sj.invert(data, spillover=NearbySpillover(jnp.asarray(0.1), proximity))
equilibrium = sj.solve(economy)
assert equilibrium.residuals.largest() < 1e-10

# %% [markdown]
# ## What one more worker is worth to others
#
# The wedge includes what neighbouring cities gain.

# %%
value = sj.wedge(economy, equilibrium)
for n in np.argsort(-np.asarray(value[:, 0]))[:3]:
    print(f"{titles[n]}: {value[n, 0]:,.0f} dollars a year")
print("social over private value:", sj.social_value_ratio(value, equilibrium))
assert (value > 0).all()

# %% [markdown]
# Moved one by one, workers are worth the same by finite differences of output at given wages: one percent more people
# in one city shift productivity everywhere, and wage bills say what that is worth.

# %%
n = int(np.argmax(np.asarray(value[:, 0])))
wage_bill = jnp.einsum("nk,nkj->nkj", equilibrium.wage, equilibrium.employment_by_sector)


def worth(log_change):
    """Wage bills at the productivity that employment with more people in the city brings."""
    employment = equilibrium.employment.at[n, 0].multiply(jnp.exp(log_change))
    return float((wage_bill * economy.spillover(employment)).sum())


step = 1e-4
per_worker = (worth(step) - worth(-step)) / (2 * step) / float(equilibrium.employment[n, 0])
np.testing.assert_allclose(per_worker, value[n, 0], rtol=1e-6)

# %% [markdown]
# ## A planner of your own
#
# An objective says which numbers are equal across occupations at its optimum. This planner wants CNR workers, who
# earn more, to gain half as much as others. The certificate does not know the objective: it says whether anything
# could help both.


# %%
class Shares(sj.Objective):
    """Gains in given proportions."""

    proportion: jax.Array

    def balance(self, accounts):
        """Equal across occupations at the optimum."""
        return accounts.gain / self.proportion


best = sj.optimum(economy, equilibrium, objective=Shares(jnp.array([1.0, 2.0])))
print("gains in percent", 100 * best.gain)
print("certificate", float(best.certificate.residual), best.outcome)
np.testing.assert_allclose(best.gain[1], 2 * best.gain[0], rtol=1e-6)
assert best.certificate.first_order

# %% [markdown]
# ## An instrument of your own
#
# A planner who can only pay by the size of a city, so many dollars a log point: two parameters, one by occupation.
# `optimise_policy` finds the best by gradients and certifies it in these parameters.


# %%
class BySize(sj.Instrument):
    """Dollars a year for each log point of city size, by occupation."""

    def initial(self, economy, equilibrium):
        """Where the search starts: no policy."""
        return jnp.zeros(2)

    def bounds(self):
        """None."""
        return None

    def transfer(self, parameters, state, economy):
        """Dollars a year (city, occupation), before the budget is balanced."""
        size = jnp.log(state.employment.sum(1))
        return (size - size.mean())[:, None] * parameters


restricted = sj.optimise_policy(economy, BySize(), equilibrium, throw=False)
print(restricted.outcome)
print("dollars a log point", restricted.policy.parameters)
print("gains in percent", 100 * restricted.gain)
everyone = sj.optimum(economy, equilibrium)
print("with transfers by city and occupation", 100 * everyone.gain)
assert restricted.gain.min() <= everyone.gain.min() + 1e-9
