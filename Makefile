# The two commands: `make sweep` and `make test`. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: sweep test test-slow lint clean

sweep: $(VENV)/.installed
	$(RUN) tuning/sweep.py

test: $(VENV)/.installed-test
	$(RUN) -m ruff check .
	$(RUN) -m pytest

# Real Ray, several processes, kills and restarts: about ten minutes.
test-slow: $(VENV)/.installed-test
	$(RUN) -m pytest -m slow

lint: $(VENV)/.installed-test
	$(RUN) -m ruff check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-test: requirements-test.txt $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

clean:
	rm -rf $(VENV) runs mlflow.db mlartifacts
