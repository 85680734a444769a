# The targets of docs/contract: each installs what it needs. See README.md.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
LINTED := $(wildcard reconciler lab tests benchmarks tools)

# The name of the fleet that `make lab` starts, and what `make demo` calls its own.
LAB ?= lab
DEMO ?= demo

.PHONY: setup demo test lab lab-down lint bench schemas docs dist lock coverage clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "reconcile needs Python 3.11 or newer; on Debian 12: apt-get install python3" >&2; exit 1; }
	@echo "setup: a virtual environment in .venv, from requirements.lock"
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "setup: installing python3-venv"; apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null; }
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip -qq --disable-pip-version-check install --require-hashes -r requirements.lock
	@$(BIN)/python -m pip -qq --disable-pip-version-check install --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: machine
machine:
	@[ "$$(uname -s)" = Linux ] && [ "$$(id -u)" = 0 ] || \
		{ echo "this starts real hosts and needs root on Linux (Debian 12); what runs anywhere: see README.md, 'Without root'" >&2; exit 1; }

demo: machine setup
	@name=$(DEMO) lab/demo.sh

test: machine setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

coverage: machine setup
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder
	@$(BIN)/python -m coverage combine -q && $(BIN)/python -m coverage report

lab: machine setup
	@$(PYTHON) -m lab up --name $(LAB)

lab-down: machine
	@$(PYTHON) -m lab down --name $(LAB)

lint: setup
	@$(BIN)/ruff check $(LINTED)
	@$(BIN)/ruff format --check $(LINTED)
	@$(BIN)/mypy

bench: machine setup
	@$(BIN)/python -m benchmarks

schemas: setup
	@$(BIN)/python -m tools.reference .

docs: setup
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs site && echo "docs: site/index.html"

dist: setup
	@rm -rf dist && $(BIN)/python -m hatchling build

lock:
	uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* dist site
