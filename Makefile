# Orderlog. A fresh machine needs Python 3.11 and make, nothing else: start with `make demo`.

PYTHON ?=
ROUNDS ?= 5
SEEDS  ?= 200
BIN    := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
KUBE   := $(BIN)/python -m deploy.k8s.check
# Suites beside the unit tests that need nothing but Python. Whatever else stands in tests/ runs in `make test`,
# but for tests/chaos.
QUICK  := tests/contract tests/flow tests/test_shape.py
# Suites on the whole stack, which wait more than they work: they run beside the others.
STACK  := tests/e2e tests/console

# Containers often forbid it: then every process compiles this project, and pytest every test, once more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check check-static check-unit check-suites test-stack test-log-console test-log test-sim test-year sim year chaos bench lock contracts compose-keys clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## a virtual environment with the locked dependencies; instant when nothing changed
	@PYTHON='$(PYTHON)' sh .ci/setup

demo: setup ## bring the stack up and run a real retailer's month through it
	@$(BIN)/orderlog demo

up: setup ## start Kafka, PostgreSQL and every stage in the background
	@$(BIN)/orderlog up

down: setup ## stop what `make up` or `make demo` started; data stays in .orderlog/
	@$(BIN)/orderlog down

check: setup ## style, types, import rules, manifests, and the tests that need no stack
	@$(MAKE) --no-print-directory -j3 --output-sync=target check-static check-unit check-suites

check-static:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(KUBE)

check-unit:
	$(PYTEST) -m 'not e2e' tests/unit

check-suites:
	$(PYTEST) -m 'not e2e' $(QUICK)

test: check ## `make check`, then PostgreSQL's suites, the simulator's seeds, a retailer's quarter, and what needs the whole stack
	@sh .ci/browser
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-stack test-log-console test-log test-sim test-year

test-stack:
	$(PYTEST) -m e2e $(STACK)

test-log-console:
	$(PYTEST) -m 'not e2e' tests/log/test_console_*.py

test-log:
	$(PYTEST) -m 'not e2e' tests/log --ignore-glob='*/test_console_*.py'

test-sim:
	$(PYTEST) -m 'not e2e' tests/sim

test-year:
	YEAR_UNTIL=2011-03-01 $(PYTEST) -m 'not e2e' tests/year

sim: setup ## seeds of simulated faults, held to every guarantee (SEEDS=200); writes docs/reliability.md
	@$(BIN)/orderlog sim --seeds $(SEEDS) --report --json

year: setup ## all of a retailer's year through inventory, recounted with pandas (`make test` has its first quarter); 5 minutes
	$(PYTEST) tests/year

chaos: setup ## cases of killed processes, cut connections and hostile clients (CASES='test_03 or test_09'); writes docs/reliability.md
	@CHAOS_TABLE=keep $(PYTEST) -m chaos tests/chaos $(if $(CASES),-k '$(CASES)')

bench: setup ## measure everything, side by side, into docs/performance.md (ROUNDS=5)
	@$(BIN)/orderlog bench all --rounds $(ROUNDS) --json

contracts: setup ## write schemas and AsyncAPI, then compare with the released ones
	@$(BIN)/orderlog contracts export
	@$(BIN)/orderlog contracts check

compose-keys: setup ## keys and passwords for `docker compose up`, made once under .orderlog/compose
	@$(BIN)/python -m deploy.compose_keys

lock: setup ## resolve pyproject.toml again into the two lock files
	@sh .ci/lock

clean: ## stop the stack; delete .venv, .orderlog and every cache
	@if [ -x $(BIN)/orderlog ] && [ -d .orderlog ]; then $(BIN)/orderlog down; fi
	@rm -rf .venv .orderlog build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
