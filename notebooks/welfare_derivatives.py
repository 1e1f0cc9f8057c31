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
# # Welfare derivatives in your own research code
#
# An equilibrium is a differentiable function of everything it rests on: put `solve` inside a function of yours, and
# JAX differentiates through it by the implicit function theorem, forwards, backwards, and twice.

# %%
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import spatialjax as sj

jax.config.update("jax_enable_x64", True)

SMALL = bool(os.environ.get("SPATIALJAX_SMALL"))

data = sj.load_data("us-metros")
if SMALL:
    workers = data["employment"].sum(("occupation", "sector"))
    data = data.isel(city=np.sort(np.argsort(-workers.values)[:20]))
economy = sj.invert(data)
equilibrium = sj.solve(economy)
titles = [str(title) for title in data["title"].values]

# %% [markdown]
# ## The gradient of an economy is an economy
#
# One reverse pass gives the derivative of welfare in every array at once: productivities of all cities, occupations
# and sectors, amenities, trade costs, elasticities.


# %%
@eqx.filter_jit
@eqx.filter_grad
def gradient_of_log_welfare(economy):
    """Of the expected utility of CNR workers."""
    return jnp.log(sj.solve(economy).welfare[0])


gradient = gradient_of_log_welfare(economy)
elasticity = (gradient.fundamental_productivity * economy.fundamental_productivity).sum((1, 2))
for n in np.argsort(-np.asarray(elasticity))[:3]:
    print(f"1 percent more productivity in {titles[n]}: {elasticity[n]:.3f} percent of CNR welfare")
print("elasticity to one percent more everywhere:", float(elasticity.sum()))

# %% [markdown]
# ## One parameter of yours
#
# A shock with a shape of one's own: productivity of one city's workers rises by `shock` log points. Pass the economy
# as an argument, so that the compiled program serves any economy.

# %%
city = int(np.argmax(np.asarray(equilibrium.employment.sum(1))))


def shocked(shock, economy):
    """The economy with a more productive city."""
    factor = jnp.ones(economy.land.size).at[city].set(jnp.exp(shock))
    productivity = economy.fundamental_productivity * factor[:, None, None]
    return eqx.tree_at(lambda e: e.fundamental_productivity, economy, productivity)


@jax.jit
def log_size(shock, economy):
    """Of the city, after everyone has moved."""
    return jnp.log(sj.solve(shocked(shock, economy)).employment[city].sum())


slope = jax.jit(jax.grad(log_size))(0.0, economy)
step = 1e-3
difference = (log_size(step, economy) - log_size(-step, economy)) / (2 * step)
print(f"{titles[city]} grows by {slope:.4f} percent a percent; by differences {difference:.4f}")
np.testing.assert_allclose(slope, difference, rtol=1e-4)

# %% [markdown]
# Second derivatives are no harder:

# %%
curvature = jax.jit(jax.jacfwd(jax.grad(log_size)))(0.0, economy)
second_difference = (log_size(step, economy) - 2 * log_size(0.0, economy) + log_size(-step, economy)) / step**2
print(float(curvature), float(second_difference))
np.testing.assert_allclose(curvature, second_difference, rtol=1e-2)

# %% [markdown]
# ## Fit by Newton's method
#
# Which productivity shock explains that the city is 5 percent larger? A few steps with exact derivatives answer it.

# %%
value_and_slope = jax.jit(jax.value_and_grad(log_size))
target = log_size(0.0, economy) + jnp.log(1.05)
shock = 0.0
for _ in range(5):
    value, slope = value_and_slope(shock, economy)
    shock = shock + (target - value) / slope
    print(f"shock {float(shock):.8f}, off by {float(target - value):.1e}")
assert abs(log_size(shock, economy) - target) < 1e-8
