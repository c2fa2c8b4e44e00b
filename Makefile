PYTHON ?=
UV ?= uv
# Of test-lowest; another place: make test-lowest OLDEST=/path/to/python3.12
OLDEST ?= python3.12
bin := .venv/bin
# Touched once .venv holds what requirements.lock names, and the package itself.
installed := .venv/installed
# Tests run on the machine's processors, not more than four at a time: each worker compiles models of its own.
parallel := --numprocesses auto --maxprocesses 4 --dist worksteal

# What tells an old dependency apart: numbers, sampling, tables, files and figures.
lowest := build/lowest
engines := effects exact frequentist heterogeneity mcmc mixtures models quadrature readers_csv readers_rm5 plots_forest

.DEFAULT_GOAL := help
.PHONY: help reanalysis picture test test-slow test-all test-lowest lint bench operating docs docs-links lock clean

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

reanalysis: $(installed)  ## re-analyse the parent-infant psychotherapy review into results/
	$(bin)/bayespip reanalyse pip --out results

picture: reanalysis  ## draw README's picture from a fresh re-analysis
	$(bin)/python docs/picture.py

test: $(installed)  ## run the tests, without the slow ones
	$(bin)/pytest $(parallel) -m "not slow"

test-slow: $(installed)  ## run only the slow tests: sampling, the built wheel
	$(bin)/pytest $(parallel) -m slow

test-all: $(installed)  ## run all tests
	$(bin)/pytest $(parallel)

# In an environment of its own, which holds what pyproject.toml requires, each at its lower bound; the package is the
# checkout's.
test-lowest:  ## the engines on Python 3.12 with the oldest dependencies that are allowed
	$(OLDEST) -m venv --clear $(lowest)
	$(lowest)/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	    print(*p["dependencies"], *p["optional-dependencies"]["excel"], sep="\n")' | sed 's/>=/==/' > $(lowest)/oldest.txt
	$(lowest)/bin/python -m pip install --quiet --disable-pip-version-check -r $(lowest)/oldest.txt hypothesis mpmath pytest
	PYTHONPATH=. $(lowest)/bin/python -W error tests/import_everything.py .
	$(lowest)/bin/python -m pytest -p no:cacheprovider -m "not slow" $(engines:%=tests/test_%.py)

lint: $(installed)  ## check style, format and types
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy

bench: $(installed)  ## run all benchmarks, and write docs/benchmarks.md
	$(bin)/python benchmarks/page.py

operating: $(installed)  ## simulate the operating characteristics in docs/calibration.md again (a quarter of an hour)
	$(bin)/python benchmarks/operating.py record

docs: $(installed)  ## build the documentation into build/docs; a warning or a broken link within it is an error
	@rm -rf docs/api/generated
	$(bin)/sphinx-build -W --keep-going -q -j auto -d build/doctrees docs build/docs

docs-links: $(installed)  ## follow the documentation's links to other sites (needs the network)
	$(bin)/sphinx-build -q -j auto -d build/doctrees -b linkcheck docs build/docs-links

# One resolution for every Python from 3.12 on; pins that still fit are kept.
lock:  ## resolve requirements.lock anew (needs uv)
	$(UV) pip compile --universal --python-version 3.12 --no-header --no-annotate --quiet \
	    --group dev --group docs --group bench pyproject.toml --output-file requirements.lock

clean:  ## remove what building and testing leave; .venv and results/ stay
	rm -rf build docs/api/generated dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(installed): requirements.lock pyproject.toml | $(bin)/python
	@echo "Installing what requirements.lock names into .venv; the first time takes a few minutes."
	$(bin)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	PYTHONWARNINGS="ignore:Editable installation" \
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
