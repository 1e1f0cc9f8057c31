"""A sweep: many scenarios of one configuration, each on the disk once it is found, to be gone on with at any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import pandas as pd
import xarray as xr

from spatialjax.data.checks import check_data
from spatialjax.data.datasets import load_data
from spatialjax.errors import ConfigError, ModelError
from spatialjax.workflow.ending import finish
from spatialjax.workflow.identity import identity
from spatialjax.workflow.output import write_config
from spatialjax.workflow.run import describe_sizes
from spatialjax.workflow.stages import timed
from spatialjax.workflow.sweep_answers import Effort, Record, answers
from spatialjax.workflow.sweep_batches import Batches
from spatialjax.workflow.sweep_calibration import check_keys
from spatialjax.workflow.sweep_folder import SweepFolder
from spatialjax.workflow.sweep_progress import SilentSweep, Standing, SweepReporter
from spatialjax.workflow.sweep_records import FAILED, PENDING, SOLVED, coordinates_of, write_part
from spatialjax.workflow.sweep_scenarios import ScenarioTable, scenario_table
from spatialjax.workflow.sweep_schema import SweepRunConfig
from spatialjax.workflow.sweep_tables import known_scenarios, scenario_frame, write_combined, write_table
from spatialjax.workflow.sweep_writer import Writer


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found, and where it wrote it.

    `scenarios` has a row for each: its parameters, `status` ("solved", "failed" or "pending"), `reason`, and outcomes
    by occupation. `files` are those that were written beside the parts.
    """

    folder: Path
    table: ScenarioTable
    scenarios: pd.DataFrame
    files: list[Path]

    @property
    def standing(self) -> Standing:
        """How many scenarios are done, failed, and there are."""
        counts = self.scenarios["status"].value_counts()
        failed = int(counts.get(FAILED, 0))
        return Standing(failed + int(counts.get(SOLVED, 0)), failed, self.table.count)

    @property
    def failed(self) -> dict[int, str]:
        """Why scenarios failed, by scenario."""
        failed = self.scenarios[self.scenarios["status"] == FAILED]
        return {int(str(number)): str(reason) for number, reason in failed["reason"].items()}


def run_sweep(
    config: SweepRunConfig,
    folder: str | Path | None = None,
    reporter: SweepReporter | None = None,
    *,
    anew: bool = False,
    retry_failed: bool = False,
    max_evaluations: int | None = None,
) -> SweepResult:
    """Solve the scenarios of a sweep that are not on the disk yet.

    It may be killed at any moment and started again: what was reported as done is kept.

    **Arguments:**

    - `folder`: where to write; by default `config.output.folder`.
    - `anew`: remove the results of a sweep in the folder, this one's or another's, and begin again.
    - `retry_failed`: try scenarios that failed again, and phase in their changes where they fail at once.
    - `max_evaluations`: for these, instead of the configuration's.

    **Raises:** `OutputError` for a folder with the results of another sweep or of anything else, or to which another
    process writes one, and for a disk that is full; `ConfigError` for parameters that there are not; the errors of
    [`load_data`][], [`invert`][] and [`solve`][] for the configuration as it stands. That a scenario fails is a
    result, said and written, not an error. A `KeyboardInterrupt` carries a message of what is done.
    """
    if anew and retry_failed:
        raise ConfigError(
            "a sweep that begins anew has no failed scenarios to retry: leave out one of --anew and --retry-failed"
        )
    if max_evaluations is not None and not retry_failed:
        raise ConfigError(
            "--max-evaluations is for scenarios that are tried again with --retry-failed; for all scenarios set "
            "solver.max_evaluations in the configuration"
        )
    effort = Effort(max_evaluations or config.solver.max_evaluations, in_steps=retry_failed)
    with SweepFolder(config.output.folder if folder is None else folder) as store:
        return _Sweep(config, store, SilentSweep() if reporter is None else reporter, effort, anew).run()


class _Sweep:
    """The stages of a sweep in its folder."""

    def __init__(self, config: SweepRunConfig, store: SweepFolder, reporter: SweepReporter, effort: Effort, anew: bool):
        self.config, self.store, self.reporter, self.effort, self.anew = config, store, reporter, effort, anew
        self.seconds: dict[str, float] = {}
        self.data: xr.Dataset | None = None

    def run(self) -> SweepResult:
        wanted = identity(self.config)
        self.table = scenario_table(self.config.sweep)
        check_keys(self.config, self.table)
        self.store.check(wanted, anew=self.anew)
        known = pd.Series(dtype=object) if self.anew else known_scenarios(self.store, self.table)["status"]
        kept = known[known == SOLVED] if self.effort.in_steps else known
        pending = sorted(set(range(self.table.count)).difference(kept.index))
        standing = Standing(len(kept), int((kept == FAILED).sum()), self.table.count)
        if not pending:
            return self._results(f"{standing.described()}: nothing is left to do")
        with self._stage("loading and checking data"):
            if standing.done:
                self.reporter.say(f"{standing.described()} already: going on from there")
            self.data = data = load_data(self.config.data.source)
            check_data(data)
            self.reporter.say(describe_sizes(data))
        with self._stage("inverting the model and solving its equilibrium"):
            batches = Batches(self.config, data, self.table)
        self.store.begin(wanted, anew=self.anew)
        self._solve(batches, pending, standing, data)
        return self._results()

    def _stage(self, name: str):
        return timed(self.reporter, name, self.seconds)

    def _solve(self, batches: Batches, pending: Sequence[int], standing: Standing, data: xr.Dataset) -> None:
        coordinates = coordinates_of(data)

        def write(records: Sequence[Record]) -> None:
            nonlocal standing
            write_part(self.store.next_part(), records, self.table, coordinates)
            failed = standing.failed + sum(not record.solved for record in records)
            standing = Standing(standing.done + len(records), failed, standing.total)
            on_disk(standing)

        try:
            with self.reporter.sweeping(standing) as on_disk, Writer(write) as writer:
                for record in answers(batches.of(pending), self.config, self.effort):
                    writer.add(record)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
                raise ModelError(
                    "a batch of scenarios needs more memory than there is: set sweep.max_memory, in GiB; the sweep "
                    f"goes on from what is done ({str(error).partition(chr(10))[0]})"
                ) from error
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: {self._results().standing.described()}, in {self.store.path}; the same command goes on"
            ) from None

    def _results(self, message: str | None = None) -> SweepResult:
        """Tables made of what is on the disk."""
        with self._stage("writing tables"):
            if message is not None:
                self.reporter.say(message)
            known = known_scenarios(self.store, self.table)
            frame = scenario_frame(known, self.table)
            files = [write_config(self.store.path, self.config), write_table(self.store, frame)]
            if self.config.sweep.combined and not (frame["status"] == PENDING).any():
                files.insert(0, write_combined(self.store, known, self.table))
        diagnostics = {"seconds": self.seconds, "scenarios": frame["status"].value_counts().to_dict()}
        report = self._stage("writing the report")
        files = finish(self.store.path, files, diagnostics, self.data, report)
        return SweepResult(self.store.path, self.table, frame, files)
