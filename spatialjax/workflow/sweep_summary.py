"""What a sweep says in the end."""

from pathlib import Path

import pandas as pd

from spatialjax.errors import ConfigError
from spatialjax.workflow.config import AnyRunConfig
from spatialjax.workflow.sweep_answers import DESCRIPTIONS
from spatialjax.workflow.sweep_records import FACTS, SOLVED
from spatialjax.workflow.sweep_run import SweepResult
from spatialjax.workflow.sweep_scenarios import scenario_table
from spatialjax.workflow.sweep_schema import SweepRunConfig

SHARES = ("gain", "relocated")
"""Outcomes that are shown in percent."""
SHOWN = 10
"""Scenarios that are shown on a screen."""


def sweep_config(config: AnyRunConfig, path: Path) -> SweepRunConfig:
    """The configuration, which must be of a sweep.

    **Raises:** `ConfigError` for another one.
    """
    if not isinstance(config, SweepRunConfig):
        raise ConfigError(f"{path} has no [sweep] section, which says what differs between scenarios (docs/sweeps.md)")
    return config


def parameters_frame(config: SweepRunConfig) -> tuple[pd.DataFrame, str]:
    """The first scenarios of a sweep, and how many there are."""
    table = scenario_table(config.sweep)
    frame = pd.DataFrame({name: cells[:SHOWN] for name, cells in table.flat.items()})
    frame.insert(0, "scenario", [str(number) for number in range(len(frame))])
    return frame, f"{table.count} scenarios, of which the first {len(frame)} are shown"


def ranges(result: SweepResult) -> pd.DataFrame:
    """Of each outcome by occupation, the lowest, the median and the highest over solved scenarios."""
    solved = result.scenarios[result.scenarios["status"] == SOLVED]
    rows = []
    for name in solved.columns[len(result.table.flat) + len(FACTS) :]:
        outcome = next(outcome for outcome in sorted(DESCRIPTIONS, key=len)[::-1] if name.startswith(f"{outcome}_"))
        percent = outcome in SHARES
        values = pd.to_numeric(solved[name]) * (100 if percent else 1)
        label = f"{outcome.replace('_', ' ')} of {name.removeprefix(f'{outcome}_')}{', percent' if percent else ''}"
        rows.append((label, values.min(), values.median(), values.max()))
    return pd.DataFrame(rows, columns=["over scenarios", "lowest", "median", "highest"])


def described_failures(result: SweepResult) -> str:
    """Which scenarios failed and why, and what can be done."""
    failed = result.failed
    lines = [
        f"scenario {number} ({result.table.described(number)}): {reason}"
        for number, reason in list(failed.items())[:SHOWN]
    ]
    if len(failed) > SHOWN:
        lines.append(f"and {len(failed) - SHOWN} more, listed in scenarios.csv")
    count = "1 scenario" if len(failed) == 1 else f"{len(failed)} scenarios"
    return "\n".join([f"{count} failed; --retry-failed tries again, with changes phased in:", *lines])
