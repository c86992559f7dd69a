# Every target sets itself up from Python 3.11 to 3.14 and the package registry: nothing else is assumed.
# Which one: ops/python.sh; `make PYTHON=/usr/bin/python3.13` takes another.
PYTHON ?= $(or $(shell sh ops/python.sh),python3.11)
VENV   := .venv
UV     := $(VENV)/bin/uv
RUN    := $(VENV)/bin/python -m
SECONDS ?= 600
INPUTS ?= 50000
LAWS ?= 5000
PROFILE ?= stormy life
CHILDREN ?= 2
SAMPLE ?= 1000
MUTANTS ?=
PROCESSES ?= 3
AGAINST ?=
STRIPE_PORT ?= 12111
GATEWAYS ?= simulated
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON_DOWNLOADS := never
# Libraries are compiled once: where Python may not write what it compiled, every process would compile them anew.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo test check coverage guards soak bench million history reconcile-month invoices figures forecast faults roles mutants positions relive kafka reference schemas docs pages screenshots stripe release tag format clean
.DEFAULT_GOAL := test

$(UV):
	$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -c 'import sys; print(f"set up from Python {sys.version.split()[0]}, {sys.base_prefix}", end=", ")'
	@sh ops/python.sh $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet 'uv>=0.13,<0.14'

$(VENV)/.synced: pyproject.toml uv.lock | $(UV)
	@echo "installing into $(VENV); the first time this takes about a minute"
	$(UV) sync --locked --quiet --inexact --python $(VENV)/bin/python
	@touch $@

install: $(VENV)/.synced

demo: $(VENV)/.synced
	@$(VENV)/bin/oms-es demo --gateways $(GATEWAYS)

# Tests beside each other, file by file, on one process more than two cores, as many of them wait; with PROCESSES=0 one after the other, in one process.
PYTEST := $(RUN) pytest -n $(PROCESSES) --dist loadscope --no-loadscope-reorder

test: $(VENV)/.synced
	$(PYTEST)

check: $(VENV)/.synced
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy
	$(VENV)/bin/lint-imports
	$(PYTEST)

# Counting branches doubles the time that tests take, so it has a target of its own.
coverage: $(VENV)/.synced
	$(PYTEST) --cov --cov-report=term:skip-covered

guards: $(VENV)/.synced
	OMS_TEST_GUARDS=every $(RUN) pytest tests/system/simulation/test_guards.py -v

# Half of the time for the simulation, half for anything that anybody may ask for; then the laws of aggregates, and whatever may be asked
# over HTTP.
soak: $(VENV)/.synced
	@for profile in $(PROFILE); do \
		$(VENV)/bin/oms-es simulate --soak $$(($(SECONDS) / 2 / $(words $(PROFILE)))) \
			--seeds $$(date +%s)..9999999999 --profile $$profile || exit 1; done
	@until=$$(($$(date +%s) + $(SECONDS) / 2)); while [ $$(date +%s) -lt $$until ]; do \
		OMS_TEST_EXAMPLES=50 OMS_TEST_STEPS=100 $(RUN) pytest -q --no-header tests/system/in_memory/test_anything.py || exit 1; done
	OMS_TEST_LAWS=$(LAWS) $(RUN) pytest -q --no-header --timeout=0 tests/unit/aggregates/test_laws.py
	OMS_TEST_HTTP=every $(RUN) pytest -q -s --no-header --timeout=0 tests/integration/http/test_anything_over_http.py
	OMS_TEST_INPUTS=$(INPUTS) OMS_TEST_SEED=$$(date +%s) $(RUN) pytest -q -s --no-header --timeout=0 tests/system/in_memory/test_inputs.py -k accepted

# With AGAINST=COMMIT one order alone, what history costs, and the way through Kafka are measured of that commit's build, too, by turns.
bench: $(VENV)/.synced
	@for module in bench/store.py bench/lifecycle.py bench/imports.py bench/kafka.py bench/http.py bench/sealing.py bench/past.py bench/what_if.py; do $(VENV)/bin/python $$module $(BENCH) || exit 1; done
	@$(VENV)/bin/python bench/alone.py --against "$(AGAINST)" $(filter --json,$(BENCH))
	@$(VENV)/bin/python bench/bulk.py --against "$(AGAINST)" $(filter --json,$(BENCH))
	@$(VENV)/bin/python bench/archiving.py $(filter --json,$(BENCH))
	@$(VENV)/bin/python bench/kafka_trips.py --against "$(AGAINST)" $(filter --json,$(BENCH))

# Pages and reports with a million orders; takes 15 GB and half an hour. KEEP=FOLDER keeps them for the next time.
million: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --extra analytics --python $(VENV)/bin/python
	@$(VENV)/bin/python bench/million.py --orders $(or $(ORDERS),1000000) $(if $(KEEP),--keep $(KEEP)) $(BENCH)

history: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --extra data --python $(VENV)/bin/python
	@$(VENV)/bin/python bench/history.py $(BENCH)

figures: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --extra data --python $(VENV)/bin/python
	OMS_TEST_WORLDS=$(or $(WORLDS),50) OMS_TEST_BASKETS=$(or $(BASKETS),7000) $(RUN) pytest -v --timeout=0 tests/integration/reports/test_figures.py

# A year of real baskets: how wrong forecasts are, beside every model that they are made of; about ten minutes.
forecast: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --extra data --python $(VENV)/bin/python
	@$(VENV)/bin/python bench/forecast.py $(BENCH)

# A month of 20,000 orders with 350 planted breaks, and how many lines a second it takes.
reconcile-month: $(VENV)/.synced
	OMS_TEST_ORDERS=$(or $(ORDERS),20000) $(RUN) pytest -q -s --no-header --timeout=0 tests/unit/matching -k planted

invoices: $(VENV)/.synced
	OMS_TEST_INVOICES=1 $(RUN) pytest -v -n 0 --timeout=0 tests/system/invoices

faults: $(VENV)/.synced
	@OMS_TEST_KILLS=200 OMS_TEST_FAULT_TIMES=$(or $(TIMES),20) OMS_TEST_FAULTS="$(FAULTS)" $(RUN) pytest tests/system/faults \
		tests/integration/privacy/test_encrypting_stored.py tests/integration/privacy/test_forgetting_killed.py tests/integration/privacy/test_forgetting_by_itself.py \
		tests/integration/archiving/test_archiving_killed.py

# Every role on a Kafka that allows only what the page about a secured one lists; about a minute.
roles: $(VENV)/.synced
	OMS_TEST_ROLES=every $(RUN) pytest -v tests/integration/contract/test_secured_kafka.py

# Every read model as of so many random positions, beside what its table was then.
positions: $(VENV)/.synced
	OMS_TEST_POSITIONS=$(or $(POSITIONS),200) $(RUN) pytest -v --timeout=0 tests/integration/history/test_as_of.py

relive: $(VENV)/.synced
	OMS_TEST_RELIVE=$(or $(SEEDS),300) $(RUN) pytest -v --timeout=0 tests/system/whatif/test_relive.py tests/system/whatif/test_database.py

mutants: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --group mutants --python $(VENV)/bin/python
	@$(VENV)/bin/python bench/mutants.py --children $(CHILDREN) --sample $(SAMPLE) $(BENCH) -- $(MUTANTS)

kafka: $(VENV)/.synced
	@$(RUN) oms_es.kafka.dev_broker

reference schemas: $(VENV)/.synced
	@$(VENV)/bin/oms-es reference write

# Where npm is missing, the site shows diagrams as text.
docs: $(VENV)/.synced
	$(UV) sync --locked --quiet --inexact --group docs --python $(VENV)/bin/python
	@if command -v npm >/dev/null; then npm ci --silent --ignore-scripts --prefix ops/docs; \
		else echo "npm is not installed: diagrams will be shown as text" >&2; fi
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --clean

# Pictures of the console; needs Chromium (`apt-get install chromium`), and a Chinese font for some of them.
screenshots: $(VENV)/.synced
	@$(VENV)/bin/python ops/docs/screenshots.py $(or $(SHOTS),build/screenshots)

# Requests to Stripe, checked by Stripe's own description of them; needs Go.
stripe: $(VENV)/.synced
	GOBIN=$(CURDIR)/build go install github.com/stripe/stripe-mock@v0.203.0
	@build/stripe-mock -http-port $(STRIPE_PORT) > build/stripe-mock.log & mock=$$!; sleep 5; \
	OMS_TEST_STRIPE_MOCK=http://127.0.0.1:$(STRIPE_PORT) $(RUN) pytest tests/integration/gateways; code=$$?; kill $$mock; exit $$code

pages: $(VENV)/.synced
	OMS_TEST_PAGES=every $(RUN) pytest tests/system/docs -v

# What is published, and a database as this version makes it: both are kept for ever. Commit them, then `make tag`.
release: reference
	@$(VENV)/bin/oms-es reference release
	@$(VENV)/bin/python tests/integration/upgrades/keep.py $(VERSION)

tag:
	@test -z "$$(git status --porcelain)" || { echo "commit first: a tag names what is committed" >&2; exit 1; }
	@test -f docs/reference/published/$(VERSION).json || { echo "run make release first" >&2; exit 1; }
	@git tag --annotate v$(VERSION) --message "Release $(VERSION)"

format: $(VENV)/.synced
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

clean:
	rm -rf $(VENV)
