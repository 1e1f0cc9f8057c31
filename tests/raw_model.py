"""The model written straight from its equations, in levels and in loops, to be solved by scipy.

Shares no code with the library: unknowns are logs of wages, employment, rents, prices and expenditure.
"""

import numpy as np
from scipy.optimize import root


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
    E = (income * L).sum(1)
    new_X = e["alpha"] * E[:, None] + np.einsum("ij,nj,nj->ni", e["mu"], 1 - e["gamma"], Y)
    C = income / np.prod(new_P ** e["alpha"], axis=1)[:, None]
    pull = (e["A"] * C) ** nu
    new_L = e["population"] * pull / pull.sum(0)

    wages = np.log(demand / (w * L)).ravel()
    wages[0] = np.log((w * L).sum() / e["wage_bill"])  # one market is redundant; the numeraire takes its place
    parts = [wages, np.log(new_L / L).ravel(), np.log(land_income / (r * e["H"]))]
    return np.concatenate([*parts, np.log(new_P / P).ravel(), np.log(new_X / X).ravel()])


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
