# The same commands here and in CI. `make demo` and `make test` do everything on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PORT ?= 8000
SECONDS ?= 600
SEED := $(or $(SEED),$(shell $(PYTHON) -c 'import secrets; print(secrets.randbelow(2**32))'))

.DEFAULT_GOAL := help
.PHONY: help demo serve test clients-test explore compose-test chaos lint format bench load docs examples lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "radii needs Python 3.11 or newer, $(PYTHON) is older; try: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment: your system may need its python3-venv package"; exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "installing radii into $(VENV) (PyTorch is large: a minute or more)"
	@$(PIP) install -e '.[worker,embedded]'
	@touch $@

$(VENV)/.develop: pyproject.toml | $(BIN)/python
	@echo "installing radii and what its tests need into $(VENV) (PyTorch is large: a minute or more)"
	@$(PIP) install -e '.[all,dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.clients: pyproject.toml | $(BIN)/python
	@echo "installing Node, Java and what generates clients into $(VENV)"
	@$(PIP) install -e '.[all,dev,clients]'
	@touch $@ $(VENV)/.develop $(VENV)/.run

$(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "installing radii and what it is compared with into $(VENV) (PyTorch is large: a minute or more)"
	@$(PIP) install -e '.[worker,embedded,bench]'
	@touch $@ $(VENV)/.run

demo: $(VENV)/.run ## start everything, certify one real image over HTTP, stop
	@$(BIN)/radii demo

serve: $(VENV)/.run ## start everything and stay up (PORT=8000)
	@$(BIN)/radii serve --port $(PORT)

# Four lanes even on two cores: many tests wait for processes. `tests/support/lanes.py` says what runs beside what.
LANES ?= 4
REPORT ?=

test: $(VENV)/.develop ## run all tests (LANES=4; REPORT=file, for JUnit's XML)
	@$(BIN)/python -m pytest --numprocesses=$(LANES) --no-loadscope-reorder --max-worker-restart=0 $(addprefix --junitxml=,$(REPORT))

clients-test: $(VENV)/.clients ## generate clients with three generators and test them, with page types and KEDA's schemas (fetches packages of Node)
	@$(BIN)/python -m pytest tests/clients $(addprefix --junitxml=,$(REPORT))

explore: $(VENV)/.develop ## search for counterexamples at random, with ten times as many examples (ONLY="tests/smoothing")
	@$(BIN)/python -m pytest --hypothesis-profile=explore -m hypothesis --timeout=3600 $(ONLY)

compose-test: $(VENV)/.clients ## build the images, start docker-compose.yml and test it (needs Docker)
	@$$(docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) build
	@RADII_COMPOSE=1 $(BIN)/python -m pytest tests/end_to_end/test_compose.py

chaos: $(VENV)/.develop ## inject faults under load for ten minutes (SECONDS=600 SEED=)
	@echo "SEED=$(SEED)"
	@RADII_CHAOS_SECONDS=$(SECONDS) RADII_CHAOS_SEED=$(SEED) $(BIN)/python -m pytest tests/chaos/test_chaos.py

lint: $(VENV)/.develop ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.develop ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.bench ## measure votes per second and the service's overhead (ONLY="precision anytime")
	@$(BIN)/python -m benchmarks $(ONLY)

load: $(VENV)/.run ## measure the latency of submissions under load, and jobs per second by workers
	@$(BIN)/python -m benchmarks load

docs: $(VENV)/.develop ## test the links, commands and programs of README and docs
	@$(BIN)/python -m pytest tests/docs $(wildcard tests/end_to_end/test_readme*.py tests/end_to_end/test_*_page.py)

.PHONY: results
results: $(VENV)/.develop ## measure the tables of docs/results.md in three and a half hours, and write the page (ONLY="NAME NAME", or page)
	@$(BIN)/python -m evaluation.papers $(ONLY)

examples: $(VENV)/.develop ## record the answers of a real service for the OpenAPI document
	@$(BIN)/python -m tests.support.record_examples

lock: $(BIN)/python ## pin the libraries of the images in docker/*.txt
	@$(PIP) install uv
	@UV=$(BIN)/uv docker/lock $(UPGRADE)

clean: ## remove everything that make built
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
