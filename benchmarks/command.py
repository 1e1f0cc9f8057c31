"""Measure the library, and other programs beside it: `spatialjax bench`, or `python benchmarks/run.py`.

Writes a JSON file and a page of Markdown tables named by date and device. Every part runs in processes of its own, so
that its peak memory is its own; compilation is timed apart from running. Runs unchanged on an accelerator that JAX
finds; programs that are compared run on the processor.
"""

import argparse
from pathlib import Path

from . import environment  # noqa: F401  (before JAX)
from .parts import PARTS
from .protocol import Setting
from .recorded import measure_into

HERE = Path(__file__).parent
CHECKOUT = (HERE.parent / "pyproject.toml").exists()
"""Whether this is the repository, and not a copy that came with an installed package."""
STANDARD = tuple(name for name, part in PARTS.items() if part.standard)


def main() -> None:
    """Measure and write the files."""
    arguments = _arguments()
    names = _names(arguments)
    setting = Setting(quick=arguments.quick, peers=arguments.peers)
    if arguments.quick:
        setting = setting._replace(repeats=1, limit=5.0, baseline_limit=10.0)
    if arguments.repeats:
        setting = setting._replace(repeats=arguments.repeats)
    path = measure_into(names, setting, arguments.out, arguments.into)
    print(f"written: {path} and {path.with_suffix('.md').name}")
    if arguments.write_docs:
        from .document import write_docs

        for written in write_docs(path, HERE.parent / "docs"):
            print(f"written: {written}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="spatialjax bench",
        description="Measure the library, and other programs beside it, on this machine.",
        epilog=f"parts: {', '.join(STANDARD)}; and, where named or with --all, "
        f"{', '.join(name for name in PARTS if name not in STANDARD)}",
    )
    default = HERE / "results" if CHECKOUT else Path("benchmark-results")
    parser.add_argument("--only", nargs="+", metavar="PART", choices=PARTS, help="these parts, merged into the results")
    parser.add_argument("--all", action="store_true", help="all parts")
    parser.add_argument("--quick", action="store_true", help="a check that the program runs: few cities, one repeat")
    parser.add_argument("--repeats", type=int, help=f"calls that are timed, by default {Setting().repeats}")
    parser.add_argument("--out", type=Path, default=default, help=f"folder of the results, by default {default}")
    parser.add_argument("--into", type=Path, help="a JSON file of results to merge into, whatever its date")
    parser.add_argument("--peers", type=Path, help="folder with other packages' example data (docs/performance.md)")
    if CHECKOUT:
        parser.add_argument("--write-docs", action="store_true", help="put tables and figure into docs/ as well")
    else:
        parser.set_defaults(write_docs=False)
    return parser.parse_args()


def _names(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.only:
        return tuple(name for name in PARTS if name in arguments.only)
    return tuple(PARTS) if arguments.all else STANDARD


if __name__ == "__main__":
    main()
