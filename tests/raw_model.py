"""The model written straight from its equations, in levels and in loops, to be solved by scipy.

Shares no code with the library: unknowns are logs of wages, employment, rents, prices and expenditure.
"""

import jax
import numpy as np
from scipy.optimize import root


def raw_economy(economy, **changed):
    """The numbers of an economy with externalities by occupation and national links, some of them changed.

    By default one basket for all (`alpha` by occupation otherwise), no amenity spillovers (`amenity_elasticity`),
    multiplicative amenities (`unit`: additive ones, measured in it), and no policy (`transfer`: a function of wages and
    employment).
    """
    return {
        "lam_hat": np.asarray(economy.fundamental_productivity),
        "tau_share": np.asarray(economy.spillover.share),
        "tau_size": np.asarray(economy.spillover.size),
        "eps": float(economy.occupation_substitution),
        "theta": float(economy.trade_elasticity),
        "nu": float(economy.location_elasticity),
        "beta": np.asarray(economy.land_share),
        "gamma": np.asarray(economy.value_added_share),
        "mu": np.asarray(economy.input_links.mix),
        "kappa": np.exp(np.asarray(economy.log_iceberg_cost)),
        "alpha": np.asarray(economy.consumption_share),
        "A": np.asarray(economy.amenity),
        "H": np.asarray(economy.land),
        "population": np.asarray(economy.population),
        "wage_bill": float(economy.wage_bill),
    } | changed


def market_clearing(z, e):
    """Residuals of every market at the unknowns z, for an economy given as a dictionary of arrays."""
    N, K, J = e["lam_hat"].shape
    w, L = np.exp(z[: N * K].reshape(N, K)), np.exp(z[N * K : 2 * N * K].reshape(N, K))
    r = np.exp(z[2 * N * K : 2 * N * K + N])
    P = np.exp(z[2 * N * K + N : 2 * N * K + N + N * J].reshape(N, J))
    X = np.exp(z[2 * N * K + N + N * J :].reshape(N, J))
    eps, theta, nu = e["eps"], e["theta"], e["nu"]

    lam = np.zeros((N, K, J))
    for n in range(N):
        for k in range(K):
            for j in range(J):
                ratio = (L[n, k] / L[n].sum()) ** e["tau_share"][k]
                lam[n, k, j] = e["lam_hat"][n, k, j] * ratio * L[n].sum() ** e["tau_size"][k]

    x, delta = np.full((N, J), np.inf), np.zeros((N, K, J))
    for n in range(N):
        for j in range(J):
            terms = np.array([(w[n, k] / lam[n, k, j]) ** (1 - eps) if lam[n, k, j] > 0 else 0.0 for k in range(K)])
            if terms.sum() == 0:
                continue
            delta[n, :, j] = terms / terms.sum()
            W = terms.sum() ** (1 / (1 - eps))
            factors = (r[n] ** e["beta"][n, j] * W ** (1 - e["beta"][n, j])) ** e["gamma"][n, j]
            x[n, j] = factors * np.prod(P[n] ** (e["mu"][:, j] * (1 - e["gamma"][n, j])))

    new_P, Y = np.zeros((N, J)), np.zeros((N, J))
    for j in range(J):
        sales = (e["kappa"][j] * x[None, :, j]) ** (-theta)
        new_P[:, j] = sales.sum(1) ** (-1 / theta)
        pi = sales / sales.sum(1, keepdims=True)
        Y[:, j] = pi.T @ X[:, j]

    demand = np.einsum("nj,nj,nkj,nj->nk", e["gamma"], 1 - e["beta"], delta, Y)
    land_income = (e["gamma"] * e["beta"] * Y).sum(1)
    wage_bill = (w * L).sum(0)
    chi = wage_bill / wage_bill.sum() * land_income.sum() / L.sum(0)
    income = w + chi
    if "transfer" in e:
        income = income + e["transfer"](w, L)
    new_X = np.einsum("ij,nj,nj->ni", e["mu"], 1 - e["gamma"], Y)
    C, A = np.zeros((N, K)), e["A"].copy()
    for k in range(K):
        alpha = e["alpha"] if e["alpha"].ndim == 1 else e["alpha"][k]
        new_X += alpha * (income[:, k] * L[:, k])[:, None]
        C[:, k] = income[:, k] / np.prod(new_P**alpha, axis=1)
        if "amenity_elasticity" in e:
            A[:, k] *= np.prod(L ** e["amenity_elasticity"][k], axis=1)
    pull = A**nu * np.exp(nu * C / e["unit"]) if "unit" in e else (A * C) ** nu
    new_L = e["population"] * pull / pull.sum(0)

    wages = np.log(demand / (w * L)).ravel()
    wages[0] = np.log((w * L).sum() / e["wage_bill"])  # one market is redundant; the numeraire takes its place
    parts = [wages, np.log(new_L / L).ravel(), np.log(land_income / (r * e["H"]))]
    return np.concatenate([*parts, np.log(new_P / P).ravel(), np.log(new_X / X).ravel()])


def near(equilibrium):
    """The unknowns at an equilibrium, moved a little: where scipy starts."""
    state = np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(equilibrium.state())])
    return state + 0.02 * np.random.default_rng(0).standard_normal(state.size)


def solve_raw(e, start):
    """Root by scipy's hybrid method; raises if it is none."""
    found = root(market_clearing, start, args=(e,), method="hybr", options={"xtol": 1e-13, "maxfev": 200000})
    residual = np.abs(market_clearing(found.x, e)).max()
    assert residual < 1e-11, (found.message, residual)
    N, K, J = e["lam_hat"].shape
    return {
        "wage": np.exp(found.x[: N * K].reshape(N, K)),
        "employment": np.exp(found.x[N * K : 2 * N * K].reshape(N, K)),
        "price": np.exp(found.x[2 * N * K + N : 2 * N * K + N + N * J].reshape(N, J)),
    }
