# Everything a newcomer needs: `make demo` and `make test` set up their own environment first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# What decides over people's numbers is covered by its own unit tests; the rest runs untraced, a quarter sooner.
COVERED := tests/unit/crypto tests/unit/policies tests/unit/cleanroom/release
COVERAGE := --cov=crypto --cov=policies --cov=cleanroom/release --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=95
# A file stays in one process: its tests share rooms that are dear to make. In the tests' own order long files come
# first; ordered by their number of tests, those with a few long ones would be left to one process at the end.
PARALLEL := --numprocesses auto --dist loadfile --no-loadscope-reorder
SOURCES := cleanroom crypto policies provider_portal advertiser_api tests benchmarks alembic

.PHONY: setup demo test test-slow test-long lint format bench bench-full lock
.DEFAULT_GOAL := setup

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes --requirement requirements.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $(READY)

demo: setup
	$(BIN)/cleanroom demo

test: setup lint
	$(BIN)/pytest -m "not slow" $(PARALLEL) $(COVERAGE) $(COVERED)
	$(BIN)/pytest -m "not slow" $(PARALLEL) $(COVERED:%=--ignore=%)

test-slow: setup
	$(BIN)/pytest -m "slow and not long" --numprocesses auto --dist worksteal --durations 25

# Deeper looks at what the others look at: an hour or so, before a release.
test-long: setup
	$(BIN)/pytest -m long --numprocesses auto --dist worksteal --durations 25
	CLEANROOM_TEST_EXAMPLES=many $(BIN)/pytest -m "not slow" $(PARALLEL) tests/properties

lint: setup
	$(BIN)/ruff format --check --quiet $(SOURCES)
	$(BIN)/ruff check --quiet $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format --quiet $(SOURCES)
	$(BIN)/ruff check --quiet --fix $(SOURCES)

bench: setup
	$(BIN)/python -m benchmarks.report --quick

# Measures every target at full size and writes the results page: a quarter of an hour on a machine with nothing else to do.
bench-full: setup
	$(BIN)/python -m benchmarks.report

lock: setup
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --output-file requirements.lock
