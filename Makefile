# The two commands: `make sweep` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DOCS_VENV := .venv-docs

.PHONY: sweep test test-slow chaos soak cluster-test lint docs bench bench-gpu clean

sweep: $(VENV)/.installed
	$(RUN) tuning/sweep.py

# `make test COV=1` also measures coverage, and fails below the floor in pyproject.toml; it takes a third longer.
# Tests use one thread, so there is a process for each core. Eight need about 8 GiB.
test: lint
	$(RUN) -m pytest --numprocesses logical --maxprocesses 8 --dist loadscope --durations=10 $(if $(COV),--cov)

# Real Ray, several processes, kills and restarts: about fifty minutes on two cores.
test-slow: $(VENV)/.installed-test
	$(RUN) -m pytest -m slow --ignore tests/chaos --ignore tests/cluster

# What docs/RELIABILITY.md says: real sweeps, and harm that is really done to them. Fills its table.
chaos: $(VENV)/.installed-test
	FAME_CHAOS_RESULTS=benchmarks/results/reliability.json $(RUN) -m pytest -m slow tests/chaos
	$(RUN) -m benchmarks.page

# One sweep whose processes are killed at random times: make soak MINUTES=10 SEED=1 KILLS=20
MINUTES ?= 5
SEED ?= 0
KILLS ?= 10
soak: $(VENV)/.installed-test
	$(RUN) -m tests.chaos.soak --minutes $(MINUTES) --seed $(SEED) --kills $(KILLS)

# Hosts in network namespaces (root, iproute2), and what Slurm and shellcheck say of the batch script where they are
# installed: some ten minutes. Tests that lack something say what.
cluster-test: $(VENV)/.installed-test
	$(RUN) -m pytest -m "slow or not slow" tests/cluster

# The pages of docs/ and the API reference, into site/. A warning is an error. It has an environment of its own.
docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/python -m mkdocs build --strict

# Ratios measured side by side on CPU, one table, JSON under benchmarks/results: under 15 minutes.
bench: $(VENV)/.installed-test
	$(RUN) -m benchmarks cpu

# On a machine with a GPU; any Python that has torch will do: make bench-gpu RUN=python3
bench-gpu:
	$(RUN) -m benchmarks gpu

lint: $(VENV)/.installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

$(DOCS_VENV)/.installed: requirements-docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

clean:
	rm -rf $(VENV) $(DOCS_VENV) build site runs mlflow.db mlartifacts
