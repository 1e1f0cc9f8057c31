"""Run the benchmarks as a file: `python benchmarks/run.py`, the same as `spatialjax bench`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.command import main

if __name__ == "__main__":
    main()
