# Needs Python 3.11 or newer, make and a package registry. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help run serve test check e2e package simulate soak large fuzz bench audit lock clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
SECONDS ?= 60
# Newer than what it was made from: the environment is up to date.
STAMP := .venv/.stamp
# What looks after the pins: in an environment of its own, so that it changes nothing that is tested.
TOOLS := .venv/tools
TOOLS_STAMP := $(TOOLS)/.stamp
# The emulator of `make e2e`: so does it.
EMULATOR := build/e2e
EMULATOR_STAMP := $(EMULATOR)/.stamp
STAGE ?= prod
COMPILE := $(TOOLS)/bin/uv pip compile --quiet --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## send one batch through the whole service and show the callback that comes out
	@exec $(BIN)/python -m batchback_local.demo

serve: $(STAMP) ## run the whole service on this machine until Ctrl-C
	@exec $(BIN)/batchback local

test: $(STAMP) ## run the tests
	@$(PYTEST)

check: $(STAMP) ## everything that must be green: lint, format, types, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(PYTEST)

e2e: $(STAMP) $(EMULATOR_STAMP) ## package the service, and run what ships on an emulator of AWS
	@exec $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder e2e

package: $(STAMP) ## make the zip and the template that a pipeline deploys, for STAGE=prod
	@exec $(BIN)/batchback package --stage $(STAGE) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

simulate: $(STAMP) ## break the protocol's surroundings in every way for SECONDS=60
	@exec $(BIN)/python -m tests.simulation $(SECONDS)

soak: $(STAMP) ## kill real worker processes in mid-job, and see every batch end all the same
	@exec $(BIN)/python -m tests.trials.soak

large: $(STAMP) ## take batches of ten thousand jobs through the whole service on this machine
	@exec $(BIN)/python -m tests.trials.large

bench: $(STAMP) ## measure it beside what one would take instead; FULL=1 for all tables
	@exec $(BIN)/python -m benchmarks $(if $(FULL),--full)

fuzz: $(STAMP) ## send the running service what docs/openapi.yaml allows and what not, for SECONDS=60
	@exec $(BIN)/python -m tests.fuzz $(SECONDS)

audit: $(TOOLS_STAMP) ## look up every pin among the known vulnerabilities
	@exec $(BIN)/python -m tests.audit

lock: $(TOOLS_STAMP) ## take anew the hashes of what is pinned for Lambda and for these tools
	@for file in requirements.txt requirements-tools.txt; do $(COMPILE) "$$file" -o "$$file" || exit; done

clean: ## remove the environment and all caches
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info client/src/*.egg-info

$(STAMP): requirements-dev.txt pyproject.toml client/pyproject.toml
	@python=$$(for name in python3 python3.13 python3.12 python3.11; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Batchback needs Python 3.11 or newer, and none of python3, python3.13, python3.12 and python3.11 is one." >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version): two minutes, this once." >&2; \
	"$$python" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e ./client -e .
	@touch $@

$(TOOLS_STAMP): requirements-tools.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-tools.txt
	@touch $@

$(EMULATOR_STAMP): requirements-e2e.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-e2e.txt
	@touch $@
