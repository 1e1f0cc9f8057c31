"""What the tables of a density run are computed from: places, the panel, random relocations; made when first needed."""

from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import pandas as pd
import xarray as xr

from spatialjax.cities.equilibrium import solve
from spatialjax.cities.inversion import invert
from spatialjax.cities.planner import optimum
from spatialjax.cities.spillovers import OccupationSpillover
from spatialjax.cities.variants import without_externalities
from spatialjax.data.datasets import load_data
from spatialjax.density.bridge import log_earnings_by_cbsa
from spatialjax.density.cbsas import cbsa_table, msa_table
from spatialjax.density.columns import with_regressors
from spatialjax.density.panel import read_panel, with_earnings, with_moves
from spatialjax.density.relocation import RandomRelocations, simulate_relocation
from spatialjax.density.simulation import simulate_panel
from spatialjax.density.simulation_truth import Truth
from spatialjax.errors import DataError
from spatialjax.granular.labelled import places_to_xarray
from spatialjax.granular.parameters import Parameters
from spatialjax.granular.places import calibrate
from spatialjax.granular.places import solve as solve_places
from spatialjax.workflow.density_schema import DensityRunConfig
from spatialjax.workflow.stages import Reporter

BRIDGE_ESTABLISHMENTS = 100_000
"""A year, in the panel simulated from the wages of a solved economy."""


class Sources:
    """Data, simulations and solved economies of a run; each is made once, and only if a table asks for it."""

    def __init__(self, config: DensityRunConfig, reporter: Reporter):
        self.config, self.say = config, reporter.say
        self.keys = jax.random.split(jax.random.key(config.simulation.seed), 3)

    @cached_property
    def places(self) -> xr.Dataset:
        """The data set of CBSAs."""
        return load_data(self.config.cbsas.source)

    @cached_property
    def cbsas(self) -> pd.DataFrame:
        """Facts by CBSA."""
        return cbsa_table(self.places)

    @cached_property
    def msas(self) -> pd.DataFrame:
        """Facts by MSA of 1999."""
        return msa_table(self.places)

    @property
    def truth(self) -> Truth:
        """What is true of simulated establishments."""
        section = self.config.simulation
        return Truth(premium=section.premium, premium_at_birth=section.premium_at_birth, college=section.college)

    @property
    def simulated(self) -> bool:
        """Whether the panel is simulated, not read."""
        return self.config.panel.source == "simulated"

    @cached_property
    def panel(self) -> pd.DataFrame:
        """The panel, read or simulated, with the regressors of eq. (2)."""
        panel = self._simulated() if self.simulated else self._read()
        years = ", ".join(str(year) for year in sorted(panel["year"].unique()))
        self.say(f"panel of {len(panel):,} establishment-years ({years}) in {panel['cbsa'].nunique()} CBSAs")
        return with_regressors(panel, self.cbsas)

    def _read(self) -> pd.DataFrame:
        """The user's panel; earnings by eq. (1) and moves of the history where it lacks them."""
        section = self.config.panel
        panel = read_panel(Path(section.source), self.cbsas)
        if "earnings" not in panel.columns:
            panel, found = with_earnings(panel)
            self.say(f"earnings are those of eq. (1), of which {found.imputed.sum():,} are imputed")
        if section.history is not None:
            panel = with_moves(panel, _read_history(section.history))
            self.say(f"{int(panel['moved'].sum()):,} rows are of establishments that moved, by the annual history")
        return panel

    def _simulated(self) -> pd.DataFrame:
        number = self.config.simulation.establishments
        return simulate_panel(self.cbsas, self.truth, key=self.keys[0], establishments_per_year=number)

    @cached_property
    def relocations(self) -> RandomRelocations:
        """Random relocations (FF appendix D)."""
        section = self.config.relocation
        return simulate_relocation(
            self.cbsas,
            key=self.keys[1],
            establishments=section.establishments,
            move_probability=section.move_probability,
        )

    def construction(self) -> pd.DataFrame:
        """Construction employment by CBSA and year, of the panel's own establishments."""
        rows = self.panel[self.panel["industry2"].between(15, 17)]
        return rows.groupby(["cbsa", "year"], as_index=False, observed=True)["employment"].sum()

    @cached_property
    def cities(self) -> dict[str, xr.Dataset]:
        """The economy of the embedded metros as it is, without externalities, and at its optimum."""
        data = load_data("us-metros")
        economy = invert(data, spillover=OccupationSpillover())
        now = solve(economy)
        alone = solve(without_externalities(economy), initial=now)
        best = optimum(economy, now)
        solutions = {"equilibrium": now, "no externalities": alone, "optimum": best.equilibrium}
        return {name: solution.to_xarray(data) for name, solution in solutions.items()}

    def panel_of_cities(self) -> pd.DataFrame:
        """A simulated panel whose earnings by CBSA are the wages of the solved city economy."""
        wages = log_earnings_by_cbsa(self.cities["equilibrium"], self.cbsas)
        matched = self.cbsas.loc[wages.index]
        panel = simulate_panel(
            matched,
            self.truth,
            key=self.keys[2],
            establishments_per_year=BRIDGE_ESTABLISHMENTS,
            city_log_earnings=wages,
        )
        return with_regressors(panel, matched)

    @cached_property
    def zones(self) -> xr.Dataset:
        """The granular economy of the embedded zones."""
        data = load_data("japan-zones")
        firms = data["establishments"].values / float(data["sectors"])
        population, wage = (jnp.asarray(data[name].values) for name in ("population", "wage"))
        places = calibrate(population, wage, jnp.asarray(firms), Parameters(), "competitive")
        return places_to_xarray(places, solve_places(places), data, None)


def _read_history(source: str) -> pd.DataFrame:
    """The annual history of the panel's establishments."""
    try:
        return pd.read_parquet(source) if source.lower().endswith(".parquet") else pd.read_csv(source)
    except (ValueError, OSError) as error:
        raise DataError(source, [f"the annual history cannot be read as Parquet or CSV: {error}"]) from error
