"""A run of the granular economy: zones, production, equilibrium, optimal policy, and KO's figures beside."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr

from spatialjax.data.datasets import load_data
from spatialjax.data.zones import check_zones
from spatialjax.errors import ConvergenceError
from spatialjax.granular.agglomeration import production_shape
from spatialjax.granular.concentration import herfindahl
from spatialjax.granular.conduct import Conduct
from spatialjax.granular.exact import SectorTable, exact_production_table, jackknife, production_of
from spatialjax.granular.labelled import places_to_xarray
from spatialjax.granular.parameters import Parameters, check_parameters
from spatialjax.granular.place_optimum import PlacesOptimum, optimum
from spatialjax.granular.place_stability import stability
from spatialjax.granular.places import Places, calibrate, solve
from spatialjax.granular.predictions import (
    employment_variance,
    herfindahl_of_number,
    shock_variance,
    wage_bill_variance,
)
from spatialjax.granular.regional_production import production, production_with_error
from spatialjax.workflow.ending import finish
from spatialjax.workflow.granular_schema import GranularRunConfig
from spatialjax.workflow.granular_summary import KO_FIRMS, Variant, paper_table, reasons, zone_table
from spatialjax.workflow.output import write_config, write_dataset, write_table
from spatialjax.workflow.run_folder import run_folder
from spatialjax.workflow.stages import Reporter, Silent, timed

SMALLEST_ON_CURVE, LARGEST_ON_CURVE = 0.02, 500.0
CURVE_POINTS = 80
LARGEST_NUMBER = 99
"""Firms in a sector up to which moments are shown (KO 4.3)."""


@dataclass(frozen=True)
class GranularRunResult:
    """What a granular run found, and where it wrote it.

    `zones` are results by conduct; `figures` is the table of KO's figures beside ours.
    """

    folder: Path
    figures: pd.DataFrame
    zones: dict[str, xr.Dataset]
    moments: xr.Dataset
    diagnostics: dict[str, Any]
    files: list[Path] = field(default_factory=list)


def run_granular(
    config: GranularRunConfig, folder: str | Path | None = None, reporter: Reporter | None = None, *, anew: bool = False
) -> GranularRunResult:
    """Run a configuration of the granular economy and write its results, each file as soon as it is known.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove what a run of another configuration left in the folder, instead of refusing it.

    **Raises:** `DataError`, `ModelError`, `ConvergenceError`, `OutputError`.
    """
    parameters = config.parameters.build()
    check_parameters(parameters)
    with run_folder(config.output.folder if folder is None else folder, config, anew=anew) as target:
        return _GranularRun(config, parameters, target, Silent() if reporter is None else reporter).all_stages()


class _GranularRun:
    """The stages of a run, which write as they go."""

    def __init__(self, config: GranularRunConfig, parameters: Parameters, target: Path, reporter: Reporter):
        self.config, self.parameters, self.target, self.reporter = config, parameters, target, reporter
        self.key = jax.random.key(config.simulation.seed)
        self.draws = config.simulation.draws
        self.files: list[Path] = []
        self.seconds: dict[str, float] = {}
        self.diagnostics: dict[str, Any] = {}
        self.zones: dict[str, xr.Dataset] = {}
        self.exact: dict[str, SectorTable] = {}
        self.dispersed: dict[str, xr.Dataset] = {}

    def all_stages(self) -> GranularRunResult:
        self._load()
        for conduct in self.config.conducts:
            self._solve(conduct)
        if self.config.simulation.exact:
            for conduct in self.config.conducts:
                self._solve_exactly(conduct)
        if self.config.extension.sector_dispersion is not None:
            for conduct in self.config.conducts:
                self._extend(conduct)
        moments = self._moments()
        figures = self._write_tables()
        if self.config.output.figures:
            with self._stage("drawing figures"):
                from spatialjax.workflow.granular_drawing import draw_granular_figures

                self.files += draw_granular_figures(self.target, self.zones, moments)
        self.diagnostics["seconds"] = self.seconds
        report = self._stage("writing the report")
        self.files = finish(self.target, self.files, self.diagnostics, self.data, report)
        return GranularRunResult(self.target, figures, self.zones, moments, self.diagnostics, self.files)

    def _stage(self, name: str) -> AbstractContextManager[None]:
        return timed(self.reporter, name, self.seconds)

    def _load(self) -> None:
        with self._stage("loading and checking data"):
            self.data = load_data(self.config.data.source)
            check_zones(self.data)
            self.firms = jnp.asarray(self.data["establishments"].values / float(self.data["sectors"]))
            self.ends = jnp.asarray([self.firms.min(), self.firms.max()])
            entry = f"{self.firms.min():.3g} to {self.firms.max():.4g} firms per sector"
            self.reporter.say(f"{self.data.sizes['zone']} zones with {entry}")
            self.files.append(write_config(self.target, self.config))

    def _calibrate(self, parameters: Parameters, conduct: Conduct) -> Places:
        title = self.data.get("title", self.data["zone"])
        return calibrate(
            jnp.asarray(self.data["population"].values),
            jnp.asarray(self.data["wage"].values),
            self.firms,
            parameters,
            conduct,
            labels=[str(name) for name in title.values],
            key=self.key,
            draws=self.draws,
        )

    def _solve(self, conduct: Conduct) -> None:
        """Calibration, equilibrium, its stability, the optimal policy, and the curves of Phi and Psi."""
        say = self.reporter.say
        with self._stage(f"calibrating and solving, {conduct}"):
            places = self._calibrate(self.parameters, conduct)
            equilibrium = solve(places)
            gap = max(
                float(jnp.abs(equilibrium.population / self.data["population"].values - 1).max()),
                float(jnp.abs(equilibrium.firms / self.firms - 1).max()),
            )
            report = stability(places, equilibrium)
            say(f"the data are an equilibrium to {gap:.1e}; {report.describe(places.labels)}")
        with self._stage(f"finding the optimal policy, {conduct}"):
            best = self._optimum(places)
            if best is not None:
                say(f"gain in expected utility {100 * float(best.gain):.4f} percent, {_describe_certificate(best)}")
        result = places_to_xarray(places, equilibrium, self.data, best)
        self.zones[conduct] = result.assign(self._curves(self.parameters, conduct))
        self._write_zones(conduct)
        self.diagnostics[conduct] = {
            "data_are_an_equilibrium": gap,
            "leading_eigenvalue": float(report.eigenvalues[0].real),
            "stable": report.stable,
        }
        if best is not None:
            self.diagnostics[conduct] |= {
                "gain": float(best.gain),
                "certificate_residual": best.certificate.residual,
            }

    def _write_zones(self, conduct: Conduct) -> None:
        path = write_dataset(self.target / f"zones_{conduct}.nc", self.zones[conduct])
        if path not in self.files:
            self.files.append(path)

    def _optimum(self, places: Places) -> PlacesOptimum | None:
        """The optimal policy; that there is none is a result, and said."""
        policy = self.config.policy
        financing = "lump-sum" if policy.welfare == "expected_utility" else policy.financing
        try:
            return optimum(places, policy.welfare, financing=financing)
        except ConvergenceError as error:
            self.reporter.say(f"no optimal policy was found: {error}")
            return None

    def _curves(self, parameters: Parameters, conduct: Conduct) -> dict[str, Any]:
        m = np.geomspace(SMALLEST_ON_CURVE, LARGEST_ON_CURVE, CURVE_POINTS)
        found = production_with_error(jnp.asarray(m), parameters, conduct, key=self.key, draws=self.draws)
        names = ("curve_phi", "curve_psi", "curve_phi_error", "curve_psi_error")
        values = {name: ("curve", np.asarray(x), {"units": "1"}) for name, x in zip(names, found, strict=True)}
        return {"curve_firms": ("curve", m, {"units": "firms per sector"}), **values}

    def _solve_exactly(self, conduct: Conduct) -> None:
        """Phi and Psi from the exact game."""
        with self._stage(f"solving the exact game, {conduct}"):
            table = exact_production_table(
                self.firms.max(),
                self.parameters,
                conduct,
                key=self.key,
                draws=self.config.simulation.exact_draws,
                progress=self.reporter.progress,
            )
            self.exact[conduct] = table
            result = self.zones[conduct]
            m = result["curve_firms"].values
            found = production_of(table, jnp.asarray(m), self.parameters)
            reached = np.asarray(found.coverage) > 0.999
            exact = {"phi": found.phi, "psi": found.psi, "phi_exact_error": found.phi_error}
            exact["psi_exact_error"] = found.psi_error
            named = {
                f"curve_{name}" if name.endswith("error") else f"curve_{name}_exact": (
                    "curve",
                    np.where(reached, np.asarray(values), np.nan),
                    {"units": "1"},
                )
                for name, values in exact.items()
            }
            self.zones[conduct] = result.assign(named)
            self._write_zones(conduct)
            gap = np.nanmax(np.abs(self.zones[conduct]["curve_phi_exact"] / result["curve_phi"] - 1))
            self.reporter.say(f"Phi differs from its second-order approximation by {100 * gap:.2f} percent at most")

    def _extend(self, conduct: Conduct) -> None:
        """The same with entry rates that differ between sectors."""
        with self._stage(f"with entry rates that differ between sectors, {conduct}"):
            parameters = self._dispersed_parameters()
            places = self._calibrate(parameters, conduct)
            equilibrium = solve(places)
            result = places_to_xarray(places, equilibrium, self.data, self._optimum(places))
            self.dispersed[conduct] = result.assign(self._curves(parameters, conduct))
            self.files.append(write_dataset(self.target / f"zones_{conduct}_dispersed.nc", self.dispersed[conduct]))

    def _dispersed_parameters(self) -> Parameters:
        return self.config.parameters.build(self.config.extension.sector_dispersion)

    def _moments(self) -> xr.Dataset:
        """The model's side of KO Figures 2 and 3."""
        number = np.arange(1.0, LARGEST_NUMBER + 1)
        index = herfindahl_of_number(jnp.asarray(number), self.parameters)
        m = np.geomspace(SMALLEST_ON_CURVE, LARGEST_ON_CURVE, CURVE_POINTS)

        def relative(variance):
            return ("number", np.asarray(jnp.log(variance / variance[0])), {"units": "log, zero at one firm"})

        moments = xr.Dataset(
            {
                "shock_variance": (
                    "number",
                    np.asarray(shock_variance(jnp.asarray(number), self.parameters)),
                    {"units": "1"},
                ),
                "wage_bill_variance": relative(wage_bill_variance(index, self.parameters)),
                "employment_variance": relative(employment_variance(index, self.parameters)),
                "curve_firms": ("curve", m, {"units": "firms per sector"}),
                "herfindahl": ("curve", np.asarray(herfindahl(jnp.asarray(m), self.parameters)), {"units": "1"}),
            },
            {"number": number},
        )
        self.files.append(write_dataset(self.target / "moments.nc", moments))
        return moments

    def _write_tables(self) -> pd.DataFrame:
        with self._stage("writing tables"):
            figures = paper_table(self._variants(), self.parameters, self.config.conducts)
            self.files += write_table(self.target / "summary.csv", figures)
            self.files += write_table(self.target / "zones.csv", zone_table(self.zones))
            self.reporter.say("why ours differ from KO's figures:")
            for reason in reasons(self.config.conducts):
                self.reporter.say(f"- {reason}")
        return figures.drop(columns="why they differ")

    def _variants(self) -> dict[str, dict[str, Variant]]:
        ko = jnp.asarray(KO_FIRMS)

        def of(technology, places=None):
            return Variant(production_shape(technology, ko), production_shape(technology, self.ends), places)

        def second_order(parameters, conduct):
            return lambda m: production(m, parameters, conduct, key=self.key, draws=self.draws)

        def exact(table):
            def technology(m):
                found = production_of(table, m, self.parameters)
                return found.phi, found.psi

            return technology

        def resampled(conduct):
            return tuple(production_shape(exact(table), ko) for table in jackknife(self.exact[conduct]))

        variants = {"second order": {c: of(second_order(self.parameters, c), self.zones[c]) for c in self.zones}}
        if self.exact:
            variants["exact"] = {c: of(exact(self.exact[c]))._replace(jackknife=resampled(c)) for c in self.exact}
        if self.dispersed:
            parameters = self._dispersed_parameters()
            variants["dispersed"] = {c: of(second_order(parameters, c), self.dispersed[c]) for c in self.dispersed}
        return variants


def _describe_certificate(best: PlacesOptimum) -> str:
    financing = best.policy.financing
    return f"financed by {financing}: largest gradient in a subsidy {best.certificate.residual:.1e}"
