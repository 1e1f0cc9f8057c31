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
# # A sweep with uncertainty bands
#
# If computing becomes more productive in one city, how much does the city grow, and how much of the answer rests on
# externalities that are estimated? Draws of the estimates times a grid of shocks, solved as one batch.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import spatialjax as sj

jax.config.update("jax_enable_x64", True)

SMALL = bool(os.environ.get("SPATIALJAX_SMALL"))
DRAWS = 6 if SMALL else 40

data = sj.load_data("us-metros")
if SMALL:
    workers = data["employment"].sum(("occupation", "sector"))
    data = data.isel(city=np.sort(np.argsort(-workers.values)[:20]))
economy = sj.invert(data)
equilibrium = sj.solve(economy)

# %% [markdown]
# ## Draws that leave the data as they are
#
# Elasticities with the standard errors of CH Table 2. Total productivity in the data is known from the inversion,
# whatever the externalities are: another elasticity means another split between the exogenous part and the
# externality. So the data are an equilibrium under every draw, and draws differ in what happens when something
# changes.

# %%
rng = np.random.default_rng(0)
share = jnp.asarray(rng.normal([1.304, 0.835], [0.38, 0.51], (DRAWS, 2)))
size = jnp.asarray(rng.normal([0.349, 0.357], [0.06, 0.04], (DRAWS, 2)))


def exogenous(share, size):
    """The exogenous part of productivity that leaves the data an equilibrium."""
    shift = sj.OccupationSpillover(share, size)(equilibrium.employment)
    return jnp.where(economy.fundamental_productivity > 0, equilibrium.productivity / jnp.exp(shift), 0.0)


productivity = jax.vmap(exogenous)(share, size)  # (draw, city, occupation, sector)

# %% [markdown]
# ## The grid
#
# Computing becomes up to 30 percent more productive in the city that has most of it.

# %%
computing = list(data["sector"].values).index("comp")
city = int(np.argmax(data["employment"].sum("occupation").sel(sector="comp").values))
shocks = np.linspace(0.0, 0.3, 4)
factor = np.ones((shocks.size, *economy.fundamental_productivity.shape))
factor[:, city, :, computing] = np.exp(shocks)[:, None]

pairs = [(draw, shock) for draw in range(DRAWS) for shock in range(shocks.size)]
draw, shock = (jnp.asarray(numbers) for numbers in zip(*pairs, strict=True))
changes = {
    "spillover.share": share[draw],
    "spillover.size": size[draw],
    "fundamental_productivity": productivity[draw] * factor[shock],
}

# %% [markdown]
# ## All at once
#
# Where a scenario has no equilibrium it is a hole in the result with a reason, and not an error.

# %%
equilibria = sj.solve_many(economy, changes, initial=equilibrium)
print(sj.describe_failures(economy, equilibria) or "every scenario has an equilibrium")
growth = 100 * np.log(np.asarray(equilibria.employment[:, city]) / np.asarray(equilibrium.employment[city]))
growth[~np.asarray(equilibria.converged)] = np.nan
result = xr.DataArray(
    growth.reshape(DRAWS, shocks.size, 2),
    dims=("draw", "shock", "occupation"),
    coords={"shock": shocks, "occupation": data["occupation"].values},
    attrs={"long_name": "growth of employment", "units": "log points times 100"},
)
assert float(abs(result.sel(shock=0.0)).max()) < 1e-6  # under every draw the data are an equilibrium

# %% [markdown]
# ## Bands
#
# The middle of the draws, and where nine in ten of them are.

# %%
band = result.quantile([0.05, 0.5, 0.95], dim="draw")
for occupation in band["occupation"].values:
    low, middle, high = band.sel(occupation=occupation, shock=shocks[-1]).values
    print(f"{occupation}: {middle:.2f} ({low:.2f} to {high:.2f}) at the largest shock")
    assert low <= middle <= high

figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
for occupation, colour in zip(band["occupation"].values, ("#0072B2", "#D55E00"), strict=True):
    of_occupation = band.sel(occupation=occupation)
    axes.fill_between(shocks, *of_occupation.sel(quantile=[0.05, 0.95]).values, color=colour, alpha=0.2, lw=0)
    axes.plot(shocks, of_occupation.sel(quantile=0.5), color=colour, label=occupation)
axes.set_title(data["title"].values[city], fontsize="medium")
axes.set_xlabel("productivity of computing, log points")
axes.set_ylabel("growth of employment, percent")
_ = axes.legend(frameon=False)
