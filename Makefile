# What people and CI type. `make help` lists it; each target makes the environment that it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test services check format bench scale tutorial torture constraints clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.run  ## Run the main job: the tutorial's second run, as a Prefect flow on Dask
	$(BIN)/shoal run deployments/examples/lj_argon_2.toml

test: $(VENV)/.dev  ## Run the tests (ARGS="-k store" chooses)
	$(BIN)/pytest -n 2 --dist loadgroup -m "not services" $(ARGS)

# Some want what Debian calls postgresql, and slurmctld slurmd slurm-client munge (and root); they say so where it is missing.
services: $(VENV)/.dev  ## Run the tests that take long: servers, schedulers, workers; some want PostgreSQL or SLURM
	$(BIN)/pytest -m services $(ARGS)

check: $(VENV)/.dev  ## Lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## Mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev  ## Measure speed side by side; writes bench.json (ARGS="length width" chooses)
	$(BIN)/python -m tests.bench $(ARGS)

scale: $(VENV)/.dev  ## Simulate up to 10,000 workers; writes table and plot of docs/scale.md
	$(BIN)/python -m tests.scale

tutorial: $(VENV)/.dev  ## Compare runs with and without stoppers at equal evaluations, over 60 seeds
	$(BIN)/python -m tests.bench.tutorial

torture: $(VENV)/.dev  ## Kill runs with SIGKILL at random moments and resume them (ARGS="--kills 20 --seed 7")
	$(BIN)/python -m tests.torture $(ARGS)

constraints: $(VENV)/.uv  ## Pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --extra dev \
		--python $(BIN)/python --output-file constraints.txt pyproject.toml

clean:  ## Remove the environment and every cache; runs are kept
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.run: $(VENV)/.uv pyproject.toml constraints.txt
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(INSTALL) --editable '.[dev]'
	@touch $@
