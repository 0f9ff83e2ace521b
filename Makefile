# Everything that people and machines run here; `make` alone lists it.
# Only relative paths, so that it works wherever the clone lies, spaces included.

PYTHON ?= python3
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

IN_VENV := PYTHONPATH=deploy/local .venv/bin/python
#: What to hand to pytest, as in: make test ARGS='-k cancel -x'
ARGS ?=
#: Processes that `make test` runs at once; most of what they do is to wait for others. With 0, all in one.
PROCESSES ?= 4

help: ## list what can be made
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

python-is-new-enough:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Signalbox needs Python 3.11 or newer, and '$(PYTHON)' is not; name another one: make PYTHON=python3.12" >&2; \
		exit 1; }

install: python-is-new-enough ## set up what a run needs (.venv, front-end modules)
	@"$(PYTHON)" deploy/local/install.py run

install-dev: python-is-new-enough
	@"$(PYTHON)" deploy/local/install.py dev

up: install ## run all of Signalbox with the example application; Ctrl-C stops it
	@exec env PYTHONPATH=deploy/local .venv/bin/python -m signalbox_local up

#: What to let the example do, as in: make task DO='stubborn 30'; DO=--help lists what there is.
DO ?= long 60

task: install ## send a task to the example of a running `make up`: make task DO='long 60'
	@$(IN_VENV) -m signalbox_local task $(DO)

#: The folder for the wheels.
WHEELS ?= dist

wheels: python-is-new-enough ## build the wheels of all parts into dist (or WHEELS), for pip install --find-links
	@"$(PYTHON)" deploy/local/install.py wheels "$(WHEELS)"

check: lint types ## what must be green before a commit: lint, types, unit and contract tests
	@$(IN_VENV) -m pytest tests/unit tests/contract $(ARGS)

lint: install-dev ## ruff: rules and formatting
	@.venv/bin/python -m ruff check .
	@.venv/bin/python -m ruff format --check .

types: install-dev ## mypy --strict over all of our Python, tests included; tsc --checkJs --strict over our JavaScript
	@.venv/bin/python -m mypy
	@PATH="$$PATH:$$PWD/.venv/bin" node_modules/.bin/tsc

test: install-dev ## all tests, against real PostgreSQL, Redis and Celery
	@$(IN_VENV) -m pytest -n $(PROCESSES) --dist loadfile $(ARGS)

e2e: install-dev ## only the tests that use Signalbox as a person does, browser included
	@$(IN_VENV) -m pytest tests/e2e $(ARGS)

chaos: install-dev ## only the tests that take parts away while it runs; each of 44 faults 3 times (SIGNALBOX_ROUNDS)
	@SIGNALBOX_ROUNDS=$${SIGNALBOX_ROUNDS:-3} $(IN_VENV) -m pytest tests/chaos $(ARGS)

matrix: install-dev ## try what a cancel does in every state, pool and broker, and write docs/cancel-matrix.md
	@PYTHONPATH=deploy/local:tests:services/controller .venv/bin/python -m support.matrix \
		--write docs/cancel-matrix.md $(ARGS)

fuzz: install-dev ## send the api any input: 600 requests and more of each role, after its own reference (SIGNALBOX_EXAMPLES)
	@SIGNALBOX_EXAMPLES=$${SIGNALBOX_EXAMPLES:-4} $(IN_VENV) -m pytest tests/integration/test_api_any_input.py \
		--timeout 3600 $(ARGS)

plans: install-dev ## read the plan of every query of the api over a million tasks; the tests do so over 200,000
	@SIGNALBOX_PLAN_ROWS=1000000 $(IN_VENV) -m pytest tests/contract/test_plans_of_the_api.py $(ARGS)

celery-versions: install-dev ## try the agent with Celery 5.3 to 5.7, each installed into a temporary environment
	@PYTHONPATH=deploy/local:tests:services/controller .venv/bin/python -m support.celery_versions

walks: install-dev ## walk docs/install.md with each project of examples/, each Celery and Python: ARGS='--shape with_flask'
	@PYTHONPATH=deploy/local:tests .venv/bin/python -m support.walks $(ARGS)

bench: install-dev ## measure Signalbox beside Flower, and write docs/benchmarks.md; ARGS=--help lists the parts
	@PYTHONPATH=benchmarks:deploy/local:tests .venv/bin/python -m bench $(ARGS)

protocol: install-dev ## publish the messages anew, as JSON Schema and AsyncAPI
	@PYTHONPATH=tools .venv/bin/python -m signalbox_protocol docs/protocol

lock: install-dev ## lock all packages anew, newest versions that fit
	@for name in run dev monitoring node; do \
		echo "  locking requirements/$$name.txt"; \
		.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-header --no-annotate requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done
	@echo "  locking package-lock.json"
	@PATH="$$PATH:$$PWD/.venv/bin" npm update --package-lock-only --ignore-scripts --no-audit --no-fund \
		--omit-lockfile-registry-resolved --loglevel=error
	@! { grep -nE '://|--(extra-)?index-url|--find-links' requirements/*.txt; \
		grep -n '"resolved"' package-lock.json; } | grep . || { \
		echo "a lock names a registry; it must work with any" >&2; exit 1; }

.PHONY: help python-is-new-enough install install-dev up task wheels check lint types test e2e chaos matrix walks fuzz plans bench protocol lock
