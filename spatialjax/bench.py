"""Where the benchmarks are, and the program that runs them: in the repository, or in an installed package."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spatialjax.errors import SpatialJAXError

PACKAGE = Path(__file__).parent
SHIPPED = "_benchmarks"
"""Folder of the package into which a wheel puts the repository's benchmarks/."""


class BenchmarksMissingError(SpatialJAXError):
    """The benchmarks are not where an installation or a checkout has them."""


def program(package: Path = PACKAGE) -> list[str]:
    """The command that runs the benchmarks of a package in this folder.

    **Raises:** `BenchmarksMissingError` where there are none.
    """
    if (package / SHIPPED / "__main__.py").exists():
        return [sys.executable, "-m", f"{package.name}.{SHIPPED}"]
    checkout = package.parent / "benchmarks" / "run.py"
    if checkout.exists():
        return [sys.executable, str(checkout)]
    raise BenchmarksMissingError(
        f"there are no benchmarks in {package / SHIPPED} or {checkout.parent}: install spatialjax from a wheel, or run "
        "the command in the repository"
    )


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks in a process of their own, and return its exit status.

    Settings that have to be made before JAX starts are made there.
    """
    command = [*program(), *arguments]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
