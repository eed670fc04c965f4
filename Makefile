# Needs GNU make, git and Python 3.11 or newer; everything else is fetched.   make PYTHON=python3.13 test

PYTHON ?= python3
ROWS ?= 5000000
LINES ?= 10000000
CORRUPTIONS ?= 20
RUNS ?= 60
KILLS ?= 200
CONFIGS ?= 10000
STRINGS ?= 10000
MEGABYTES ?= 1024
FINDINGS ?= 1000000
FLOOD ?= 60
TIMES ?= 20
SOAK_SECONDS ?= 5400
SUITES ?= bookworm trixie
USERS ?= user root
TARGETS ?= run check
BIN := .venv/bin
SOURCES := $(wildcard worker checks tests benchmarks)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The tests start the worker hundreds of times: it is compiled once.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run test quick check servers faults soak bench bare image-test fmt lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: environment ## build the demo ledger and audit it until Ctrl-C
	@exec $(BIN)/reconciler demo

# Two thirds of the tests' time is waiting: three times as many processes as the cores that they are meant for.
test: dev-environment ## every gate: format, lint, types, imports, and the tests on real servers
	@$(MAKE) --jobs=2 check servers
	@echo "== pytest"
	@$(BIN)/pytest -n 6 --dist worksteal
	@scripts/install-servers --status

quick: check ## check, and the tests that need no server: under two minutes
	@echo "== pytest tests/unit"
	@$(BIN)/pytest -n 3 --dist worksteal tests/unit

check: dev-environment ## the gates that need no database
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check $(SOURCES)
	@echo "== ruff check"
	@$(BIN)/ruff check $(SOURCES)
	@echo "== mypy"
	@$(BIN)/mypy $(SOURCES)
	@echo "== lint-imports"
	@$(BIN)/lint-imports --no-logo

servers: environment ## MariaDB, MySQL, Prometheus, Alertmanager (own and newer), nginx, Node.js, Chromium, faketime and helm for the tests
	@echo "== install-servers"
	@scripts/install-servers
	@$(BIN)/python scripts/install-helm
	@scripts/fetch-wheels

bench: dev-environment servers ## the checks on a ledger of ROWS=5000000 beside the usual SQL (half an hour)
	@$(BIN)/python -m benchmarks.access_log --lines $(LINES)
	@$(BIN)/python -m benchmarks.paging --corruptions $(CORRUPTIONS)
	@$(BIN)/python -m benchmarks.neighbours --seconds $(RUNS)
	@$(BIN)/python -m benchmarks.run --rows $(ROWS)

bare: ## TARGETS="run check", or all, on minimal Debian roots of SUITES="bookworm trixie", as USERS="user root" (root)
	@SUITES="$(SUITES)" USERS="$(USERS)" TARGETS="$(TARGETS)" scripts/run-bare

image-test: dev-environment ## build the image on a base made of Debian's packages, and run it (root; minutes)
	@scripts/build-image
	@$(BIN)/pytest -n 0 tests/system/image/running.py

# Tests that make up their own broken logs, session variables, clocks, configurations, clients and labels of rulers.
GENERATED = tests/unit/http_log tests/unit/test_access_log.py tests/unit/test_steady_clock.py tests/unit/test_config_bounds.py \
	tests/unit/web/test_connections.py tests/unit/web/test_strangers.py tests/kinds/test_partial_blindness.py \
	tests/integration/test_session_variables.py tests/integration/test_rules.py

faults: dev-environment servers ## the fault suite in its long form: KILLS, CONFIGS, STRINGS, MEGABYTES, FINDINGS, FLOOD, TIMES (an hour)
	@FAULTS=long CONFIGS=$(CONFIGS) STRINGS=$(STRINGS) MEGABYTES=$(MEGABYTES) FINDINGS=$(FINDINGS) FLOOD=$(FLOOD) \
		$(BIN)/pytest -s tests/system/faults
	@FAULTS=long KILLS=$(KILLS) $(BIN)/pytest -s tests/system/endurance/test_kill.py
	@TIMES=$(TIMES) $(BIN)/pytest -n 2 $(GENERATED)

soak: dev-environment ## the worker on the demo for SOAK_SECONDS=5400: slope of its memory, threads, descriptors
	@DRIFT_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/system/faults/test_drift.py

fmt: dev-environment ## format the code and fix what ruff can fix
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-header pyproject.toml

lock: dev-environment ## resolve the newest versions that pyproject.toml allows into both lock files, and the newest pip
	@$(LOCK) --group build --output-file requirements.lock
	@$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@mkdir -p .cache/pip && rm -f .cache/pip/*.whl
	@$(BIN)/python -m pip download --quiet --no-deps --only-binary :all: --dest .cache/pip pip
	@rm -f scripts/pip-*.whl && mv .cache/pip/*.whl scripts/ && sha256sum scripts/pip-*.whl >scripts/pip.sha256

clean: ## remove the environment, the caches, the demo's files and the unpacked server
	@rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	@rm -rf build dist *.egg-info *.db *.db-wal *.db-shm demo-access.log*
	@find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +

# Each takes no time when there is nothing to do. Whatever the tests need, running needs, too.
.PHONY: environment dev-environment
environment:
	@scripts/make-venv $(PYTHON) run

dev-environment:
	@scripts/make-venv $(PYTHON) dev
