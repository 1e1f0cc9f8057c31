# Two commands: `make run` solves the 382-metro economy, `make test` runs the tests. Both set up what they need.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: run test lint types benchmarks docs notebooks clean

run: $(INSTALLED)
	$(BIN)/spatialjax run configs/us_metros.toml

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

benchmarks: $(INSTALLED)
	$(BIN)/python benchmarks/run.py

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

notebooks: $(INSTALLED)
	mkdir -p build/notebooks
	for n in notebooks/*.py; do $(BIN)/jupytext --to ipynb --output build/notebooks/$$(basename $$n .py).ipynb $$n; done
	$(BIN)/jupyter execute --inplace build/notebooks/*.ipynb

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
