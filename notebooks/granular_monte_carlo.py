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
# # Granular Monte Carlo on a GPU
#
# In "Granular Origins of Agglomeration" a place has sectors with few firms. Averages over such sectors are simulated
# here on whatever device JAX finds, and held against exact integrals. On a GPU leave `SPATIALJAX_SMALL` unset:
# millions of sectors take seconds.

# %%
import os
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np

from spatialjax import granular

jax.config.update("jax_enable_x64", True)

SMALL = bool(os.environ.get("SPATIALJAX_SMALL"))
DRAWS = 2**15 if SMALL else 2**22
print(jax.devices()[0].device_kind, DRAWS, "sectors")

# %% [markdown]
# ## Any statistic of a sector
#
# A statistic maps shares of the firms of one sector (zero where there is no firm) to numbers. Sectors are drawn
# weighted by their size, with a formula that avoids weights of infinite variance; every mean comes with its standard
# error.

# %%
parameters = granular.Parameters()


def statistics(shares, parameters):
    """The Herfindahl index, the share of the largest firm, and whether one firm has more than half."""
    largest = shares.max()
    return {"herfindahl": (shares**2).sum(), "largest": largest, "dominated": (largest > 0.5) * 1.0}


def simulate(firms, draws, seed=0, **options):
    """Means and standard errors, and the seconds that they took."""
    start = perf_counter()
    found = granular.sector_averages(statistics, firms, parameters, key=jax.random.key(seed), draws=draws, **options)
    return found, perf_counter() - start


for firms in (0.1, 1.0, 10.0):
    found, seconds = simulate(firms, DRAWS)
    exact = float(granular.herfindahl(firms, parameters))
    print(
        f"{firms:5} firms a sector: Herfindahl {found.mean['herfindahl']:.5f} ({found.error['herfindahl']:.5f}), "
        f"exactly {exact:.5f}; one firm has more than half in {found.mean['dominated']:.1%}; {seconds:.2f} s"
    )
    assert abs(found.mean["herfindahl"] - exact) < 5 * found.error["herfindahl"] + 1e-12

# %% [markdown]
# ## The same numbers on any machine
#
# Sectors are drawn in blocks with keys of their own. How many are held in memory at once changes nothing but
# rounding:

# %%
whole, _ = simulate(10.0, DRAWS)
in_pieces, _ = simulate(10.0, DRAWS, max_memory=2**24)
np.testing.assert_allclose(whole.mean["largest"], in_pieces.mean["largest"], rtol=1e-12)

# %% [markdown]
# And errors fall with the square root of draws:

# %%
fewer, _ = simulate(10.0, DRAWS // 16)
ratio = float(fewer.error["herfindahl"] / whole.error["herfindahl"])
print(f"16 times the draws: errors {ratio:.2f} times smaller")
assert 3 < ratio < 5

# %% [markdown]
# ## Market power
#
# Under Cournot conduct firms mark wages down. What that adds is simulated with exact control variates, so that errors
# are far smaller than those of a plain simulation.

# %%
firms = jnp.array([0.1, 1.0, 5.0, 100.0])
found = granular.production_with_error(firms, parameters, "cournot", key=jax.random.key(0), draws=DRAWS // 4)
markdown = -found.psi / found.phi
for place in range(firms.size):
    print(
        f"{firms[place]:5} firms a sector: productivity {found.phi[place]:.5f} ({found.phi_error[place]:.1e}), "
        f"pay is {markdown[place]:.3%} below its competitive share ({found.psi_error[place]:.1e})"
    )
assert (markdown > 0).all()
assert markdown.argmax() == 2  # few firms, but more than one: a lone firm has nobody to mark down against
