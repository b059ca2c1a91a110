# Everything happens in .venv, and programs are called by their path there, so no target depends
# on what is activated or installed outside. Written for GNU make 3.81, which macOS ships.

PYTHON ?= python3
PORT ?= 8080
WORKERS ?= 2
FUZZ_EXAMPLES ?= 1000
CHAOS_ROUNDS ?= 200
CHAOS_BATCH_ROUNDS ?= 2000
FAULT_SCHEDULES ?= 10000
# For instance: make lock LOCK_FLAGS=--upgrade
LOCK_FLAGS ?=
# For instance: make bench BENCH_FLAGS=--quick
BENCH_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
CREATED := $(VENV)/created.stamp
RUNTIME := $(VENV)/runtime.stamp
DEVELOPMENT := $(VENV)/development.stamp
NODE := bench/contenders/node
SERVED := $(VENV)/served/installed.stamp
NODE_MODULES := $(NODE)/node_modules/installed.stamp

# Doubly quiet: single quiet still repeats, per package, warnings about the machine's own pip
# configuration. Errors are printed either way.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -qq
# The dependencies are in place by then, at their locked versions, the build backend included.
INSTALL_JOBGATE := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock" $(LOCK_FLAGS) pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Under make -j two targets would otherwise fill the same .venv at the same time.
.NOTPARALLEL:
.PHONY: help run demo pictures test test-all fuzz chaos bench audit sbom check docs lock clean

help: ## Show this list
	@echo "Jobgate needs Python 3.11 or newer (PYTHON=$(PYTHON)) and installs itself on first use."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: $(RUNTIME) ## Serve with the built-in sandbox on port 8080 (PORT=...)
	@$(BIN)/jobgate serve --sandbox --port $(PORT)

demo: $(RUNTIME) ## Walk through the life of a job
	@$(BIN)/jobgate demo

pictures: $(DEVELOPMENT) ## Take the pictures of the console anew (needs Chromium)
	$(BIN)/python -m tests.console.pictures

test: $(DEVELOPMENT) ## Run the tests; of those with very many cases, a sample of each kind
	$(BIN)/pytest -n $(WORKERS) --sample

test-all: $(DEVELOPMENT) ## Run every case of every test, as .ci/run does; name the slowest
	$(BIN)/pytest -n $(WORKERS) --durations 30

fuzz: $(DEVELOPMENT) ## Run the fuzz tests at length (FUZZ_EXAMPLES=...)
	@echo "To fuzz a gateway that is running, this or one of its vendors' documents (/native/{vendor}/openapi.json):"
	@echo "  $(BIN)/schemathesis run http://127.0.0.1:8080/openapi.json --header 'Authorization: Bearer <API key>'"
	FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/pytest tests/fuzz -n $(WORKERS)

chaos: $(DEVELOPMENT) ## Kill gateways and break vendors at random, at length (CHAOS_ROUNDS=...)
	CHAOS_ROUNDS=$(CHAOS_ROUNDS) CHAOS_BATCH_ROUNDS=$(CHAOS_BATCH_ROUNDS) FAULT_SCHEDULES=$(FAULT_SCHEDULES) \
		$(BIN)/pytest tests/crash tests/faults tests/serving -n $(WORKERS) -rP

bench: $(DEVELOPMENT) $(SERVED) $(NODE_MODULES) ## Measure everything, for an hour, or what BENCH_FLAGS say (=--quick)
	$(BIN)/python -m bench $(BENCH_FLAGS)
ifeq ($(strip $(BENCH_FLAGS)),)
	$(BIN)/python -m bench ladder
	$(BIN)/python -m bench workers
	$(BIN)/python -m bench batches
	$(BIN)/python -m bench startup --requests 1000000
endif

audit: $(DEVELOPMENT) ## Look the locked packages up among known weaknesses (needs the internet)
	$(BIN)/pip-audit --require-hashes --disable-pip --requirement requirements/runtime.txt

sbom: $(DEVELOPMENT) ## Write a list of what is served as CycloneDX, build/sbom.json
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements/runtime.txt --pyproject pyproject.toml --output-file build/sbom.json

check: $(DEVELOPMENT) ## Check style, types, imports, specs and generated docs; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/jobgate specs check
	$(BIN)/jobgate docs --check

docs: $(RUNTIME) ## Regenerate the generated part of docs/
	$(BIN)/jobgate docs

# The runtime lock is constrained by the larger one: what is tested is what is served, and a limit
# that only a tool sets (schemathesis on jsonschema-rs) is met when both are resolved.
lock: $(DEVELOPMENT) ## Write both lock files anew from pyproject.toml
	$(LOCK) --group development --extra kit --extra otel --output-file requirements/development.txt
	$(LOCK) --group build-backend --constraint requirements/development.txt \
		--output-file requirements/runtime.txt

clean: ## Remove .venv, build results and caches
	rm -rf $(VENV) $(NODE)/node_modules build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache \
		.ruff_cache .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Without node the benchmark leaves out those who need it, and says so. Packages run nothing when they are installed.
$(NODE_MODULES): $(NODE)/package.json $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --loglevel=error && touch $@; fi

# A stamp of its own, because an interrupted creation leaves a .venv without pip; --clear makes
# the next attempt start over.
$(CREATED):
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name it:" \
			"make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Jobgate needs Python 3.11 or newer, but $(PYTHON) is" \
			"`$(PYTHON) --version 2>&1`. Name another: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUNTIME): pyproject.toml requirements/runtime.txt | $(CREATED)
	@echo "Installing Jobgate into $(VENV) (about a minute, once)"
	@$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL_JOBGATE)
	@touch $@

# What production serves, without the tools of development: the benchmark measures Jobgate with it.
$(SERVED): pyproject.toml requirements/runtime.txt | $(CREATED)
	@$(PYTHON) -m venv --clear $(VENV)/served
	@$(VENV)/served/bin/python -m pip install --disable-pip-version-check -qq --require-hashes -r requirements/runtime.txt
	@$(VENV)/served/bin/python -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation --editable .
	@touch $@

# Touches the runtime stamp too: this lock holds everything that one does.
$(DEVELOPMENT): pyproject.toml requirements/runtime.txt requirements/development.txt | $(CREATED)
	@echo "Installing Jobgate and its development tools into $(VENV) (about a minute, once)"
	@$(PIP_INSTALL) --require-hashes -r requirements/development.txt
	@$(INSTALL_JOBGATE)
	@touch $(RUNTIME) $@
