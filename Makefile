# Everything runs in .venv; `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test lint check-types gates unit bench patterns format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.ready ## Create .venv with everything, system packages included when it may

.venv/.ready: pyproject.toml ci/setup
	@PYTHON="$(PYTHON)" ci/setup
	@touch $@

demo: setup ## Certify and publish a real node into an embedded registry, and refuse a wrong one
	@ci/demo

test: setup lint gates ## What CI runs
	@$(MAKE) --no-print-directory -j 2 check-types unit

lint: setup ## Style
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .

check-types: setup ## Types
	@$(BIN)/mypy

gates: setup ## Imports run downwards only; the project speaks of itself alone
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python ci/gates.py

unit: setup ## Tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal

bench: setup ## Benchmark tables
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

patterns: setup ## Generate the service's own patterns again
	@$(BIN)/certify generate token_bucket bulkhead -o certify/certify/service/patterns

format: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet .

clean: ## Remove what was made, but for the environment
	@rm -rf .certify build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
