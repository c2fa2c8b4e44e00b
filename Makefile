PYTHON ?=
UV ?= uv
bin := .venv/bin
# Touched once .venv holds what requirements.lock names, and the package itself.
installed := .venv/installed
# Tests run on the machine's processors, not more than four at a time: each worker compiles models of its own.
parallel := --numprocesses auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help reanalysis test test-slow test-all lint bench lock clean

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

reanalysis: $(installed)  ## re-analyse the parent-infant psychotherapy review into results/
	$(bin)/bayespip reanalyse pip --out results

test: $(installed)  ## run the tests, without the slow ones
	$(bin)/pytest $(parallel) -m "not slow"

test-slow: $(installed)  ## run only the slow tests: sampling, the built wheel
	$(bin)/pytest $(parallel) -m slow

test-all: $(installed)  ## run all tests
	$(bin)/pytest $(parallel)

lint: $(installed)  ## check style, format and types
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

bench: $(installed)  ## time the whole re-analysis
	$(bin)/python benchmarks/reanalysis.py

# One resolution for every Python from 3.12 on; pins that still fit are kept.
lock:  ## resolve requirements.lock anew (needs uv)
	$(UV) pip compile --universal --python-version 3.12 --no-header --no-annotate --quiet \
	    --group dev --group docs --group bench pyproject.toml --output-file requirements.lock

clean:  ## remove what building and testing leave; .venv and results/ stay
	rm -rf build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(installed): requirements.lock pyproject.toml | $(bin)/python
	@echo "Installing what requirements.lock names into .venv; the first time takes a few minutes."
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(bin)/python:
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python); do \
	    version=$$("$$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) \
	        || version="not found"; \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	        echo "Making .venv with $$python ($$version)."; exec "$$python" -m venv .venv; \
	    fi; \
	    tried="$$tried, $$python ($$version)"; \
	done; \
	echo "bayespip needs Python 3.12 or newer; tried$${tried#,}. Name one: make PYTHON=/path/to/python" >&2; \
	exit 1
