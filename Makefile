# Works with GNU make 3.81 (macOS) and newer. Needs Python 3.11+, and nothing else that runs.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip
DATA   ?= ../shared/data

# What an installation is made of: a change in any of it installs anew. The browser's files are built by it.
# Test processes side by side; `make test WORKERS=0` runs them one after the other.
WORKERS ?= 2
SOURCES := pyproject.toml constraints.txt $(shell find hub/web/assets -type f ! -path '*/node_modules/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench train evaluate servers network constraints clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/installed ## install, fill a database with an invented brand, start the hub
	$(BIN)/hub demo

test: $(VENV)/installed-dev servers check ## everything: install, servers, checks, all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

check: $(VENV)/installed-dev ## format, lint, types, who may import whom
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed-dev ## put the code in its form
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/installed-dev servers ## measure; the results go to bench-results/
	$(BIN)/python -m tests.servers -- $(BIN)/hub bench --postgres {postgres} --out bench-results/bench.json $(ARGS)

train: $(VENV)/installed-train ## train the model anew from the data sets in DATA=../shared/data
	$(BIN)/python -m sentiment.train --data $(DATA) $(ARGS)

evaluate: $(VENV)/installed-train ## measure the model beside others and write its card
	$(BIN)/python -m sentiment.evaluate --data $(DATA) --json bench-results/evaluation.json --card $(ARGS)

servers: $(VENV)/installed-dev ## say which servers the tests use; as root with apt, install what is missing
	@$(BIN)/python -m tests.servers.install

network: $(VENV)/installed-dev ## install a whole Bluesky network for its tests: 360 MB, two minutes
	@$(BIN)/python -m tests.servers.bluesky

# --- installation -----------------------------------------------------------------------------------------------

$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/python .ci/torch_cpu.py
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(BIN)/python $(SOURCES)
	$(BIN)/python .ci/torch_cpu.py
	$(PIP) install -c constraints.txt -e '.[dev,train]'
	@touch $(VENV)/installed $(VENV)/installed-train $@

$(VENV)/installed-train: $(BIN)/python $(SOURCES)
	$(BIN)/python .ci/torch_cpu.py
	$(PIP) install -c constraints.txt -e '.[train]'
	@touch $(VENV)/installed $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy python3-venv; } \
	  || { echo 'Python has no venv here: sudo apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

constraints: ## renew constraints.txt from the newest releases
	rm -rf var/constraints
	$(PYTHON) -m venv var/constraints
	var/constraints/bin/python .ci/torch_cpu.py
	grep '^torch==' constraints.txt > var/constraints/torch.txt
	var/constraints/bin/python -m pip install -c var/constraints/torch.txt -e '.[dev,train]'
	head -n 1 constraints.txt > var/constraints/new.txt
	var/constraints/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> var/constraints/new.txt
	mv var/constraints/new.txt constraints.txt
	rm -rf var/constraints

clean: ## remove everything that was built or installed; the data in var/ stays
	rm -rf $(VENV) dist build hub/web/static/built hub/web/assets/node_modules bench-results test-results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find hub connectors sentiment routing tests -name __pycache__ -type d -prune -exec rm -rf {} +
