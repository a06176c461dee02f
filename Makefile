# Two commands on a fresh machine with Python 3.11 and make: `make demo`, `make test`.
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two tests at a time with a thread each: small matrices gain nothing from more threads.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint types contract unit bench docs clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# pip, not uv: pip honours a machine's own find-links, which matters for PyTorch.
$(STAMP): pyproject.toml requirements/lock.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements/lock.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## Upgrade a live gallery of real images, in three minutes
	$(BIN)/crossfade demo

test: lint types contract unit  ## Lint, types, import contract and tests

test-all: lint types contract $(STAMP)  ## The same with the slow tests
	$(PYTEST)

unit: $(STAMP)
	$(PYTEST) -m "not slow"

lint: $(STAMP)  ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contract: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)  ## The tables of all suites, from real data (hours; resumable); benchmarks/*.py make the rest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	CROSSFADE_CACHE=$(or $(CROSSFADE_CACHE),.cache/benchmarks) $(BIN)/crossfade bench all-local --seeds 3 --out benchmarks/results/all-local

clean:  ## Remove what the commands made
	rm -rf $(VENV) crossfade-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
