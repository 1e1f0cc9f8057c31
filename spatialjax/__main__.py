"""Entry point of the `spatialjax` command."""

import sys


def main() -> None:
    """Run the command line, or say how to install what it needs."""
    try:
        from spatialjax.cli import app
    except ModuleNotFoundError as error:
        sys.exit(f"the command line needs {error.name}: pip install 'spatialjax[all]'")
    app()


if __name__ == "__main__":
    main()
