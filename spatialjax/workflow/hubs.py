"""The figures of sectoral hubs: trade flows, prices and unit costs by group of sectors (SH Figures 1 and 2)."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from spatialjax import plots
from spatialjax.cities.decompositions import by_sector_group, price_decomposition, unit_cost_decomposition
from spatialjax.cities.flows import group_members, group_trade_share, trade_flow_changes, trade_flows
from spatialjax.workflow.cases import Case

FLOW_GROUPS = {
    "health_education": ("Health and education", 0.0025),
    "professional_other": ("Professional services", 0.01),
}
"""Groups of SH Figure 1, and the change of a share from which a flow is drawn."""
PRICE_GROUPS = {
    "health_education": "Health and education",
    "professional_other": "Professional and other services",
    "manufacturing": "Manufacturing",
}
"""Groups of SH Figure 2."""
SHARE_DRAWN = 0.05
"""Share of a city's expenditure on a group from which a flow is drawn (SH Figure 1)."""


def hub_figures(data: xr.Dataset, case: Case) -> Iterator[tuple[str, Figure]]:
    """SH Figures 1 and 2, where the data have SH's groups of sectors and the optimum was found."""
    if case.allocation is None or case.optimum is None or "sector_group" not in data:
        return
    if not set(PRICE_GROUPS) <= {str(group) for group in data["sector_group"].values}:
        return
    yield "trade_flows", plots.trade_flow_maps(_flow_panels(data, case), data, label="log unit cost, less its mean")
    groups, economy = data["sector_group"], case.economy
    prices = by_sector_group(price_decomposition(economy, case.equilibrium, case.allocation, data), groups)
    costs = by_sector_group(unit_cost_decomposition(economy, case.equilibrium, case.allocation, data), groups)
    panels = {
        name: (prices.sel(sector_group=group), costs.sel(sector_group=group)) for group, name in PRICE_GROUPS.items()
    }
    yield "price_decomposition", plots.price_decomposition_panels(panels, case.result)


def _flow_panels(data: xr.Dataset, case: Case) -> list[plots.FlowPanel]:
    groups = data["sector_group"]
    assert case.allocation is not None
    assert case.optimum is not None
    before = group_trade_share(case.economy, case.equilibrium, data, groups)
    after = group_trade_share(case.economy, case.allocation, data, groups)
    panels = []
    for group, (name, change) in FLOW_GROUPS.items():
        shares = before.sel(sector_group=group), after.sel(sector_group=group)
        panels += [
            plots.FlowPanel(
                f"{name}, equilibrium: over {100 * SHARE_DRAWN:g} percent",
                _unit_cost(case.result, groups, group),
                trade_flows(shares[0], SHARE_DRAWN),
            ),
            plots.FlowPanel(
                f"{name}, optimum: up over {100 * change:g} points",
                _unit_cost(case.optimum, groups, group),
                trade_flow_changes(*shares, change),
            ),
        ]
    return panels


def _unit_cost(result: xr.Dataset, groups: xr.DataArray, group: str) -> xr.DataArray:
    """Log unit cost of a group in each city: mean over its sectors by national output, less that over cities."""
    members = group_members(groups, result["sector"]).sel(sector_group=group)
    weight = result["gross_output"].sum("city") * members
    produced = np.isfinite(result["unit_cost"])
    log_cost = np.log(result["unit_cost"].where(produced, 1.0))
    weights = weight * produced
    mean = (weights * log_cost).sum("sector") / weights.sum("sector")
    return mean - float((mean * result["employment"].sum("occupation")).sum() / result["employment"].sum())
