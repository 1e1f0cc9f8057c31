"""What is said of each kind of run: its title, its methods, the names of its tables and figures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of run: its title, methods in words, and titles of tables and figures whose names say too little."""

    title: str
    methods: tuple[str, ...]
    titles: Mapping[str, str] = field(default_factory=dict)


SOLVER = (
    "Equilibria are roots of one system of log excess demands, found by damped sweeps and accelerated Newton steps "
    "with a local inverse for each place, in double precision. A result that did not converge is never written."
)
CITIES = Kind(
    "City economy",
    (
        "Trade between cities is that of Eaton and Kortum with input-output links; workers of each occupation choose a "
        "city with Fréchet tastes; productivity depends on who works in a city (Rossi-Hansberg, Sarte and Schwartzman, "
        "Cognitive Hubs and Spatial Redistribution).",
        "Inversion: productivities, amenities, land and prices for which the data are an exact equilibrium.",
        SOLVER,
        "Optima are equilibria under the planner's income rule (Proposition 1). A certificate checks them without it: "
        "gradients of each occupation's welfare in all transfers by city and occupation, by adjoints, add up to zero "
        "with positive weights, and welfare curves downwards along directions that leave all occupations as they are "
        "to first order.",
    ),
    {
        "summary": "Headline figures",
        "statements": "What the papers say of their optimum, and whether it holds here",
        "cities": "Cities",
        "sectors": "Sectors",
        "share_and_premium": "Share of the first occupation and its wage premium (CH Figure 1)",
        "predicted_wage_bill_share": "Wage bill share: predicted by industries, and actual (CH Figure 2)",
        "wedge_difference": "Difference of wedges between occupations (CH Figure 5)",
        "map_wedge_difference": "Social less private value of a worker, by city",
        "exogenous_productivity": "Productivity without externalities (CH Figure 14)",
        "intensity_of_inputs": "Occupations in the inputs of each sector (CH Figure 15)",
        "optimum_city_size": "City size at the optimum (CH Figure 6)",
        "optimum_specialisation": "Specialisation at the optimum",
        "wage_regressions": "Wages on size and composition (CH Table 1)",
        "validation": "Prices, amenities and productivity against size and composition (CH section 4.5)",
        "productivity_moves": "Productivity moved between cities (CH section 4.7)",
        "optimum_wedge": "Wedges in equilibrium and at the optimum",
        "trade_flows": "Trade flows of the hubs of two groups of sectors (SH Figure 1)",
        "price_decomposition": "Changes of prices and unit costs, by component (SH Figure 2)",
    },
)
GRANULAR = Kind(
    "Granular economy",
    (
        "Sectors with finitely many firms, Poisson in number and Pareto in productivity, competitive or Cournot "
        "(Kikuchi and O'Connor, Granular Origins of Agglomeration).",
        "Concentration by quadrature; output and pay to second order, or by the exact game where asked for.",
        SOLVER,
        "The optimal policy is certified by gradients of welfare in every subsidy.",
    ),
    {"summary": "The paper's figures beside ours", "zones": "Zones"},
)
SPILLOVERS = Kind(
    "Estimated externalities",
    (
        "Inverted productivities are regressed on who works in a city: least squares, two-stage least squares and "
        "continuously updated GMM, with one- or two-way clusters (linearmodels and pyfixest where they serve).",
        "Monte Carlo: the same estimators on solved economies whose externalities are known.",
        "Uncertainty: standard errors carried through inversion and optimum, by the delta method and by draws.",
    ),
    {"summary": "Estimates beside the published"},
)
DENSITY = Kind(
    "Urban density premium",
    (
        "The estimators of Faberman and Freedman, The Urban Density Premium across Establishments, on a panel of "
        "establishments that is read or simulated.",
        "Tables that the panel cannot support are left out, with the reason.",
    ),
    {"summary": "The paper's figures beside ours"},
)
SWEEP = Kind(
    "Sweep",
    (
        "Every scenario is the configuration with its parameters in the place of the given ones. Scenarios are solved "
        "together, and those that fail alone; what failed is listed with its reason.",
        SOLVER,
    ),
    {"scenarios": "Scenarios"},
)
HISTORY = Kind(
    "What changed between two economies",
    (
        "Steps move groups of fundamentals from the values of one economy to those of the other, one after another; "
        "each stage is an equilibrium. The order-free attribution is the Shapley value over all orders of the steps.",
        SOLVER,
    ),
    {
        "summary": "The paper's figures beside ours",
        "welfare": "Welfare at each stage (CH Table 3)",
        "contributions": "What each step adds",
        "technology": "Local changes of technology",
        "population_by_share": "Population by share (CH Figure 18)",
        "technology_change": "Changes of technology (CH Figure 19)",
        "real_estate_change": "Changes of real estate (CH Figure 20)",
    },
)
COMPARISON = Kind(
    "Two runs compared",
    ("Differences are those of the second run less the first. Percentages and relative differences are of the first.",),
    {
        "summary": "Figures of both",
        "configuration": "Keys and versions that differ",
        "variables": "Variables: where they differ most",
        "places": "Changes by place, percent",
    },
)
PAPER = Kind(
    "Published beside computed",
    (
        "Every figure that the papers publish and that a configuration of this library computes, run again. What the "
        "papers use and is confidential, or is not at hand, is replaced as each row says.",
        SOLVER,
    ),
    {"summary": "Published beside computed", "statements": "What the papers say, and whether it holds here"},
)
NESTED = Kind(
    "A published model",
    (
        "A model that the city economy nests, on its authors' data: an economy is made of them and solved before and "
        "after a change.",
        SOLVER,
    ),
    {"summary": "Results"},
)
OTHER = Kind("Run", (SOLVER,))
KINDS = {
    "cities": CITIES,
    "granular": GRANULAR,
    "spillovers": SPILLOVERS,
    "density": DENSITY,
    "sweep": SWEEP,
    "history": HISTORY,
    "comparison": COMPARISON,
    "paper": PAPER,
    "nested": NESTED,
}


def titled(name: str, kind: Kind) -> str:
    """The title of a table or figure: the one that it is given, or its name in words."""
    if name in kind.titles:
        return kind.titles[name]
    words = re.sub(r"[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:]
