"""What commands share: consoles, progress of stages, errors as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import typer
from rich.console import Console
from rich.status import Status

from spatialjax.errors import SpatialJAXError

console = Console(highlight=False)
if not console.is_terminal:
    console = Console(highlight=False, width=120)
errors = Console(stderr=True, highlight=False)


def tell(text: str) -> None:
    """Print text as it is: without markup, and without breaking lines that the terminal can wrap."""
    console.print(text, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print text as it is, in red, on standard error."""
    errors.print(text, style="red", markup=False, soft_wrap=True)


class ConsoleReporter:
    """Shows the stage that is running, and what each found and took."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.status: Status | None = None
        self.name = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show the stage while it runs and its time once it has ended."""
        start = perf_counter()
        self.lines, self.name = [], name
        with errors.status(f"{name} ...") as self.status:
            yield
        console.print(f"{name} [dim]({perf_counter() - start:.1f} s)[/dim]")
        for line in self.lines:
            tell(f"  {line}")

    def say(self, message: str) -> None:
        """Keep a line until the stage has ended."""
        self.lines.append(message)

    def progress(self, done: int, total: int) -> None:
        """Show how much of the stage is done."""
        if self.status is not None:
            self.status.update(f"{self.name} ... {done / total:.0%}")


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print the library's errors, and an interruption, without a traceback; end with status 1, or 130."""
    try:
        yield
    except SpatialJAXError as error:
        warn(f"error: {error}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt as interrupt:
        kept = (
            "interrupted; files already written are whole, and a run of estimates goes on from its tables when it is "
            "started again"
        )
        warn(str(interrupt) or kept)
        raise typer.Exit(130) from None
