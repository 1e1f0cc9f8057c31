"""How a sweep is going: what is done, how fast, and the time left."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from spatialjax.workflow.stages import Reporter, Silent

WINDOW = 120.0
"""Seconds over which the rate is taken."""
SETTLED = 5.0
"""Seconds after the first scenario from which on the rate is taken without what came before it."""
GROWTH = 0.02
"""A line of progress is written where there is no terminal once the time has grown by this part since the last."""


@dataclass(frozen=True)
class Standing:
    """How far a sweep has come: scenarios on the disk, those that failed among them, and all."""

    done: int
    failed: int
    total: int

    def described(self) -> str:
        """In words."""
        failed = f", {self.failed} of them failed" if self.failed else ""
        return f"{self.done} of {self.total} scenarios done{failed}"


class SweepReporter(Reporter, Protocol):
    """Who hears how a sweep is going."""

    def sweeping(self, standing: Standing) -> AbstractContextManager[Callable[[Standing], None]]:
        """Entered when scenarios begin; what it gives is called with what is on the disk, whenever that is more."""
        ...


class SilentSweep(Silent):
    """A reporter that says nothing."""

    @contextmanager
    def sweeping(self, standing: Standing) -> Iterator[Callable[[Standing], None]]:
        """Run the sweep."""
        yield lambda standing: None


class Pace:
    """Scenarios per second over the last minutes, and the time left at that rate."""

    def __init__(self, done: int, now: float):
        self._start = (now, done)
        self._seen = deque([self._start])

    def saw(self, done: int, now: float) -> None:
        """Take note of what is done. The start is forgotten soon: much of the time before the first is compilation."""
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - (SETTLED if self._seen[0] is self._start else WINDOW):
            self._seen.popleft()

    def rate(self) -> float:
        """Scenarios per second; 0 where nothing is known yet."""
        (begun, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - begun) if now > begun else 0.0

    def described(self, left: int) -> str:
        """Rate and time left, in words."""
        rate = self.rate()
        if rate == 0:
            return "no rate known yet"
        return f"{_rate(rate)}, {duration(left / rate)} left"


def _rate(rate: float) -> str:
    return f"{rate:.3g} scenarios/s" if rate >= 0.1 else f"{60 * rate:.3g} scenarios/min"


def duration(seconds: float) -> str:
    """A time as hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


class ConsoleSweep:
    """Stages as another reporter shows them; the sweep itself as a bar, or as lines where there is no terminal."""

    def __init__(self, stages: Reporter, console: Console):
        self._stages, self._console = stages, console
        self.say, self.stage, self.progress = stages.say, stages.stage, stages.progress

    @contextmanager
    def sweeping(self, standing: Standing) -> Iterator[Callable[[Standing], None]]:
        """Show what is done, the rate and the time left."""
        shown = self._bar if self._console.is_terminal else self._lines
        with shown(standing) as show:
            begun = time.monotonic()
            pace = Pace(standing.done, begun)

            def on_disk(now: Standing) -> None:
                pace.saw(now.done, time.monotonic())
                left = now.total - now.done
                show(now, pace.described(left) if left else f"in {duration(time.monotonic() - begun)}")

            yield on_disk

    @contextmanager
    def _bar(self, standing: Standing) -> Iterator[Callable[[Standing, str], None]]:
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[pace]}"))
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(standing.described(), total=standing.total, completed=standing.done, pace="")

            def show(now: Standing, pace: str) -> None:
                bar.update(task, description=now.described(), completed=now.done, pace=pace)

            yield show

    @contextmanager
    def _lines(self, standing: Standing) -> Iterator[Callable[[Standing, str], None]]:
        begun = time.monotonic()
        due = begun

        def show(now: Standing, pace: str) -> None:
            nonlocal due
            if time.monotonic() >= due or now.done == now.total:
                self._console.print(f"{now.described()}, {pace}", markup=False, soft_wrap=True)
                due = begun + (1 + GROWTH) * (time.monotonic() - begun)

        yield show
