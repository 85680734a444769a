# The targets of docs/contract: each installs what it needs. See README.md.
SHELL := /bin/bash
# The newest Python that can make a virtual environment: Debian's python3 alone cannot.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
UV ?= $(shell command -v $(BIN)/uv || command -v uv)
PIP := -m pip -qq --disable-pip-version-check
LINTED := $(wildcard reconciler lab tests benchmarks tools)
SHELL_SCRIPTS := $(wildcard .ci/*) $(shell find reconciler lab -name '*.sh')

# The name of the fleet that `make lab` starts, and what `make demo` calls its own.
LAB ?= lab
DEMO ?= demo
DIST ?= dist
WORKERS ?= 2

.PHONY: setup builders demo fuzz test gate soak simulate lab lab-down lint bench schemas cases docs dist lock coverage clean

setup: .venv/ready
builders: .venv/builders

# Nothing is resolved here: the locks are whole, and each file has to be one of theirs.
.venv/ready: requirements.lock requirements-build.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "setup: needs Python 3.11 or newer with its venv module;" \
		"on Debian, as root: apt-get install python3-venv" >&2; exit 1; }
	@echo "setup: a virtual environment in .venv, of $$($(PYTHON) --version)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@echo "setup: $$(grep -c == requirements.lock) packages from requirements.lock"
	@$(BIN)/python $(PIP) install --no-deps --require-hashes -r requirements.lock -r requirements-build.lock
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip -q check
	@echo "setup: done; $(BIN)/reconcile --help"
	@touch $@

.venv/builders: .venv/ready requirements-dev.lock
	@echo "setup: $$(grep -c == requirements-dev.lock) packages from requirements-dev.lock, for lint, tests and docs"
	@$(BIN)/python $(PIP) install --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip -q check
	@touch $@

.PHONY: machine
machine:
	@[ "$$(uname -s)" = Linux ] && [ "$$(id -u)" = 0 ] || \
		{ echo "this starts real hosts and needs root on Linux (Debian 12); what runs anywhere: see README.md, 'Without root'" >&2; exit 1; }
	@[ -n "$(PYTHON)" ] || \
		{ echo "installing python3-venv"; apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null; }

demo: machine setup
	@name=$(DEMO) lab/demo.sh

# A sample of each kind of test on hosts, so that it can be run after each change. `make gate` has all but what is
# longer than an hour allows, and `make soak` that as well.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: machine builders
	@$(PYTEST)
gate: machine builders
	@$(PYTEST) -m "not soak"

# Sequences in a simulated world, on all cores: COUNT=N of them, or for SECONDS. A seed again:
# .venv/bin/python -m tests.simulation --seed N
simulate: builders
	@$(BIN)/python -m tests.simulation $(if $(COUNT),--count $(COUNT),--seconds $(or $(SECONDS),600)) $(if $(FIRST),--first $(FIRST))

# What is longer than a gate should be, hours of it: every test, its samples at size, sequences and inputs for each door.
soak: machine builders
	@RECONCILE_HOSTILE=100000 $(PYTEST) -m ""
	@$(MAKE) --no-print-directory simulate SECONDS=3600
	@$(MAKE) --no-print-directory fuzz SECONDS_EACH=300

coverage: machine builders
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not soak"
	@$(BIN)/python -m coverage combine -q && $(BIN)/python -m coverage report

lab: machine setup
	@$(PYTHON) -m lab up --name $(LAB)

lab-down: machine
	@$(PYTHON) -m lab down --name $(LAB)

lint: builders
	@$(BIN)/ruff check $(LINTED)
	@$(BIN)/ruff format --check $(LINTED)
	@$(BIN)/mypy
	@$(BIN)/shellcheck $(SHELL_SCRIPTS)

bench: machine builders
	@$(BIN)/python -m benchmarks $(if $(ALL),--slow-runs 3)

# What comes in from outside, with inputs that a coverage-guided fuzzer makes up: SECONDS_EACH for each door, or for DOOR alone.
SECONDS_EACH ?= 60
fuzz: builders
	@$(BIN)/python $(PIP) install --no-deps --require-hashes -r tests/fuzz/requirements.lock
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS_EACH) $(DOOR)

schemas: builders
	@$(BIN)/python -m tools.reference .

cases: builders
	@$(BIN)/python -m tools.cases

docs: builders
	@$(BIN)/sphinx-build -q -W --keep-going -b html docs site && echo "docs: site/index.html"

# The wheel, the source distribution, and an SBOM of what the users' lock installs.
dist: builders
	@rm -rf $(DIST) && $(BIN)/python -m hatchling build -d $(DIST)
	@version=$$($(BIN)/python -m hatchling version) && \
		$(BIN)/python -m tools.sbom requirements.lock >$(DIST)/reconcile_certificates-$$version.cdx.json

# Pins stay as they are where they can; `make lock UPGRADE=--upgrade` takes the newest of everything.
# One set of versions for every Python from 3.11 on; extras are named, for whoever resolves all the same.
COMPILE = $(UV) pip compile -q --universal --python-version 3.11 --fork-strategy fewest --no-strip-extras \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header $(UPGRADE)
lock:
	@[ -n "$(UV)" ] || { echo "lock: needs uv; make builders installs it" >&2; exit 1; }
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) --group build -c requirements.lock -o requirements-build.lock
	$(COMPILE) --all-extras --group build --group dev -c requirements.lock -c requirements-build.lock pyproject.toml \
		-o requirements-dev.lock
	$(COMPILE) benchmarks/requirements.in -o benchmarks/requirements.lock
	$(COMPILE) tests/fuzz/requirements.in -o tests/fuzz/requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* dist site
