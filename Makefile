# The one front door. Every recipe makes its own virtual environment first: after `git clone`, with Python 3.11 or
# newer (its venv module) and make, each of these works as the first command.
#
#   make demo       install, run a foreign program, and show what it did
#   make test       the whole suite, bounded: coverage and skips are printed
#   make test-full  the whole suite at full size
#   make check      format, lint, types, layers, docs (each alone: check-format, check-lint, check-types, ...)
#   make decode-full   the A64 decoder beside others, ten million words; DECODE_ARGS="--seconds 600" in parts
#   make bench      measure against native code and the peers that are installed (BENCH_ARGS="--peers native,qemu")
#   make docs       build the site into site/
#   make clean      remove everything that the others made
#
# PYTHON chooses the interpreter, VENV the environment's folder, TEST_ARGS what goes to pytest besides.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
TEST_ARGS ?=
DECODE_ARGS ?=
BENCH_ARGS ?= --peers native

# Two processes: what a small CI machine has. Worksteal, because single tests differ a thousandfold.
PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal $(COVERAGE) \
	$(if $(wildcard ../shared/conformance),--conformance=../shared/conformance)
# A part of the suite covers a part of the sources: then nothing is measured.
COVERAGE = $(if $(filter -k -m --lf --ff --sw tests/%,$(TEST_ARGS)),,--cov --cov-report=term)

.DEFAULT_GOAL := help
.PHONY: help demo demo-guest test test-full decode-full format bench docs clean \
	check check-format check-lint check-types check-layers check-docs

help:
	@sed -n 's/^#   //p' Makefile

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "polyvm needs Python 3.11 or newer; say which with make PYTHON=python3.x" >&2; exit 1; }
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "this Python has no working venv module; on Debian: apt install python3-venv" >&2; exit 1; }

# A stamp is newer than pyproject.toml when what it names is installed. The package itself is linked, not copied.
$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	@echo "installing polyvm"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml
	@echo "installing polyvm and the test tools"
	@$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: $(VENV)/.test
	@echo "installing the development tools"
	@$(PIP) install --editable '.[test,dev]'
	@touch $@

# Tests start polyvm thousands of times: where Python is told not to write bytecode, each would compile it again.
.PHONY: $(VENV)/.compiled
$(VENV)/.compiled: $(VENV)/.test
	@$(BIN)/python -m compileall -q src

# Real programs for every guest, Debian's: fetched into the tests' cache once. Where that cannot be, their tests skip.
$(VENV)/.real: $(VENV)/.test
	@$(BIN)/python tests/real/fetch.py --tree debian || echo "without Debian's programs the tests of tests/real skip" >&2
	@touch $@

# And whole small systems with a compiler, nearly half a gigabyte for each processor: for the full run only.
$(VENV)/.system: $(VENV)/.test
	@$(BIN)/python tests/real/fetch.py --tree system || echo "without Debian's systems some tests of tests/real skip" >&2
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/python examples/demo/show.py

# The committed program is what this makes, byte for byte, from examples/demo/demo.c (a test compares).
demo-guest: $(VENV)/.test
	@$(BIN)/python examples/demo/build.py

test: $(VENV)/.test $(VENV)/.real $(VENV)/.compiled
	@$(PYTEST) $(TEST_ARGS)

test-full: $(VENV)/.test $(VENV)/.real $(VENV)/.system $(VENV)/.compiled
	@$(PYTEST) --full $(TEST_ARGS)

# Ends with the committed page docs/reference/aarch64-decoder.md; needs LLVM's library (apt install libllvm15 or later).
decode-full: $(VENV)/.test
	@$(BIN)/python -m tests.isa.aarch64.decode_full $(DECODE_ARGS)

check: check-format check-lint check-types check-layers check-docs

check-format: $(VENV)/.dev
	$(BIN)/ruff format --check --quiet .

check-lint: $(VENV)/.dev
	$(BIN)/ruff check .

check-types: $(VENV)/.dev
	$(BIN)/mypy

check-layers: $(VENV)/.dev
	$(BIN)/lint-imports

check-docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.test
	@$(BIN)/polyvm bench $(BENCH_ARGS)

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the site is in site/index.html"

clean:
	rm -rf $(VENV) site build dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	find src tests docs examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
