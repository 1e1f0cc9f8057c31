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
# # A first hour with the library
#
# From data to an economy, to another equilibrium, to the best one, and to tables and figures of it.
#
# Double precision first: the library never switches it on by itself.

# %%
import os

import equinox as eqx
import jax
import numpy as np

import spatialjax as sj
from spatialjax.cities.outcomes import city_size, location_quotient, log_premium, occupation_share
from spatialjax.plots import share_against_premium

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## Data
#
# Wages and employment of cognitive non-routine (CNR) and other workers in 22 industries of US metropolitan areas.
# With `SPATIALJAX_SMALL=1` this notebook keeps the 20 largest of 382.

# %%
SMALL = bool(os.environ.get("SPATIALJAX_SMALL"))

data = sj.load_data("us-metros")
if SMALL:
    workers = data["employment"].sum(("occupation", "sector"))
    data = data.isel(city=np.sort(np.argsort(-workers.values)[:20]))
print(dict(data.sizes))
print(data["wage"].attrs["units"], data["employment"].attrs["units"])

# %% [markdown]
# ## The economy behind the data
#
# `invert` finds productivities, amenities and land of which the data are an equilibrium; `solve` confirms it.

# %%
economy = sj.invert(data)
equilibrium = sj.solve(economy)
print("largest log excess demand", float(equilibrium.residuals.largest()))
assert equilibrium.residuals.largest() < 1e-10

# %% [markdown]
# Industries for which national accounts disagree with each other are mended, and listed:

# %%
for mended in economy.mended:
    print(mended)

# %% [markdown]
# Results have names. Where is computing (`comp`) most over-represented, and do CNR workers earn more where they are
# many?

# %%
before = equilibrium.to_xarray(data)
print(location_quotient(before).sel(sector="comp").swap_dims(city="title").to_series().nlargest(3))
share = occupation_share(before).sel(occupation="CNR")
in_data = float(np.corrcoef(share, log_premium(before))[0, 1])
print(f"correlation of the CNR share with the log premium: {in_data:.2f}")
assert in_data > 0

# %% [markdown]
# ## Another equilibrium
#
# An economy is immutable: `equinox.tree_at` returns one in which something is replaced. Without externalities between
# workers the relation is the other way round, as in section 4.7 of "Cognitive Hubs".

# %%
alone = eqx.tree_at(lambda e: e.spillover, economy, sj.NoSpillover())
without = sj.solve(alone, initial=equilibrium).to_xarray(data)
share_without = occupation_share(without).sel(occupation="CNR")
without_externalities = float(np.corrcoef(share_without, log_premium(without))[0, 1])
print(f"without externalities: {without_externalities:.2f}")
assert without_externalities < 0

# %%
figure = share_against_premium(before, without)

# %% [markdown]
# ## The best one
#
# The planner's optimum of Proposition 1, with equal gains for both occupations. Its certificate knows nothing of how
# it was found: the residual says how nearly no transfer between cities and occupations helps everyone, and curvature
# that it is a maximum along four directions.

# %%
best = sj.optimum(economy, equilibrium)
print(f"everyone gains {100 * float(best.gain[0]):.3f} percent")
print("certificate:", float(best.certificate.residual), best.certificate.curvature)
np.testing.assert_allclose(best.gain[0], best.gain[1], rtol=1e-6)
assert best.certificate.first_order
assert best.certificate.concave

# %%
after = best.to_xarray(data)
transfer = after["transfer"].sel(occupation="CNR").swap_dims(city="title").to_series()
print("dollars a year to a CNR worker")
print(transfer.nsmallest(3))
print(transfer.nlargest(3))
growth = np.log(city_size(after) / city_size(before)).swap_dims(city="title").to_series()
print("log growth of cities", growth.describe(), sep="\n")
