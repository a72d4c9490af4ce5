# Needs Python 3.11 or newer, make and a package registry. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help run serve test check clean

BIN := .venv/bin
# Newer than what it was made from: the environment is up to date.
STAMP := .venv/.stamp

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(STAMP) ## send one batch through the whole service and show the callback that comes out
	@exec $(BIN)/python -m batchback.local.demo

serve: $(STAMP) ## run the whole service on this machine until Ctrl-C
	@exec $(BIN)/batchback local

test: $(STAMP) ## run the tests
	@$(BIN)/python -m pytest -q

check: $(STAMP) ## everything that must be green: lint, format, types, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(BIN)/python -m pytest -q

clean: ## remove the environment and all caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(STAMP): requirements-dev.txt pyproject.toml
	@python=$$(for name in python3.13 python3.12 python3.11 python3; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Batchback needs Python 3.11 or newer, and none of python3.13, python3.12, python3.11 and python3 is one." >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version): a minute, this once." >&2; \
	"$$python" -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
