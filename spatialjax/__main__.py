"""Entry point of the `spatialjax` command."""

import os
import sys


def main() -> None:
    """Run the command line, or say how to install what it needs."""
    # Threads of LAPACK and of XLA wait for each other busily: on a busy machine a solve may stall for seconds.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from spatialjax.cli import app
    except ModuleNotFoundError as error:
        sys.exit(f"the command line needs {error.name}: pip install 'spatialjax[all]'")
    app()


if __name__ == "__main__":
    main()
