# Needs Python 3.11 or newer, make and a package registry. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help install dev run serve test check coverage docs elsewhere e2e browser screenshots anywhere package simulate soak large load hostile fuzz mutants bench pictures audit lock clean

# Variables that you may set. Their values are data: neither make nor the shell executes what
# `$(call quoted,NAME)` contains, and make exports values from its command line unchanged.
STAGE ?= prod
SECONDS ?= 60
override quoted = '$(subst ','\'',$(value $(1)))'
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))

# All other variables belong to the Makefile.
override BIN := .venv/bin
override PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
# If a stamp is newer than the files it depends on, .venv is up to date: the first one for `make run`,
# the second one for the development tools.
override STAMP := .venv/.stamp
override DEV_STAMP := .venv/.dev-stamp
# The tools for the pinned packages. They have their own environment, so that they change nothing
# that is tested.
override TOOLS := .venv/tools
override TOOLS_STAMP := $(TOOLS)/.stamp
# The tools that build the site. They have their own environment too.
override SITE := build/docs
override SITE_STAMP := $(SITE)/.stamp
# The emulator for `make e2e`, also in its own environment.
override EMULATOR := build/e2e
override EMULATOR_STAMP := $(EMULATOR)/.stamp
# The driver for Chromium in `make browser`, in a folder that is added to the path of .venv.
override BROWSER := build/browser
override BROWSER_STAMP := $(BROWSER)/.stamp
# Packages are never built, because a build would run code that is not pinned.
override PINNED := --require-hashes --no-deps --only-binary :all: -r
override COMPILE := $(TOOLS)/bin/uv pip compile --quiet --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: $(STAMP) ## send one batch through the whole service and show its callback
	@exec $(BIN)/python -m batchback_local.demo

serve: $(STAMP) ## run the whole service on this machine until Ctrl-C
	@exec $(BIN)/batchback local

test: $(DEV_STAMP) ## run the tests
	@$(PYTEST)

check: $(DEV_STAMP) ## run everything that must pass: lint, format, types, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(PYTEST)

coverage: $(DEV_STAMP) ## run the tests and check how much of the code they reach
	@$(PYTEST) --cov --cov-report term --cov-report html

e2e: $(DEV_STAMP) $(EMULATOR_STAMP) ## package the service and run the package on an AWS emulator
	@exec $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder e2e

browser: $(DEV_STAMP) $(BROWSER_STAMP) ## use the console in a real browser, as a person would
	@PYTHONPATH=$(BROWSER) exec $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder browser

# Without --quiet: with it, MkDocs does not count its warnings, which must fail the build.
docs: $(SITE_STAMP) ## build the documentation site: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --clean --config-file website/mkdocs.yml
	@$(SITE)/bin/python -m website.check

elsewhere: $(DEV_STAMP) ## run the tests with another date and time zone
	@exec $(BIN)/python -m tests.anywhere --here

anywhere: $(DEV_STAMP) ## run the tests in six very different environments
	@exec $(BIN)/python -m tests.anywhere

install: $(STAMP) ## create .venv for make run and the batchback commands

dev: $(DEV_STAMP) ## create .venv with the development tools

package: $(STAMP) ## create the zip and the template that a pipeline deploys, for STAGE=prod
	@exec $(BIN)/batchback package --stage $(call quoted,STAGE) $(if $(value ARCHITECTURE),--architecture $(call quoted,ARCHITECTURE))

simulate: $(DEV_STAMP) ## test the protocol against simulated failures for SECONDS=60
	@exec $(BIN)/python -m tests.simulation $(call quoted,SECONDS)

soak: $(DEV_STAMP) ## kill real worker processes at random, and check that every batch ends
	@exec $(BIN)/python -m tests.trials.soak

large: $(DEV_STAMP) ## run batches of ten thousand jobs through the whole service
	@exec $(BIN)/python -m tests.trials.large

load: $(DEV_STAMP) ## count what a high load costs during failures, on a simulated clock
	@exec $(BIN)/python -m tests.trials.load

hostile: $(DEV_STAMP) ## call hostile servers over HTTP and TLS, on the real clock
	@exec $(BIN)/python -m tests.trials.hostile

bench: $(DEV_STAMP) ## compare the service with its alternatives; FULL=1 for all tables
	@exec $(BIN)/python -m benchmarks $(if $(value FULL),--full)

screenshots: $(DEV_STAMP) $(BROWSER_STAMP) ## update the screenshots of the console in the docs
	@PYTHONPATH=$(BROWSER) exec $(BIN)/python -m browser.screenshots

pictures: $(STAMP) ## update the diagrams and charts in the docs
	@exec $(BIN)/python -m pictures

fuzz: $(DEV_STAMP) ## send valid and invalid requests to the service for SECONDS=60
	@exec $(BIN)/python -m tests.fuzz $(call quoted,SECONDS)

mutants: $(DEV_STAMP) ## check that the tests find mistakes in copies of the code
	@exec $(BIN)/python -m tests.mutants

audit: $(TOOLS_STAMP) ## check the pinned packages for known vulnerabilities
	@exec $(BIN)/python -m tests.audit

lock: $(TOOLS_STAMP) ## update the hashes of the pinned packages
	@for file in requirements.txt requirements-docs.txt requirements-tools.txt; do $(COMPILE) "$$file" -o "$$file" || exit; done
	@for file in run dev e2e browser; do $(COMPILE) --no-deps "requirements-$$file.txt" -o "requirements-$$file.txt" || exit; done

clean: ## remove the environments, builds and caches
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info client/build client/src/*.egg-info

# Install the packages in the options $(3) into the environment $(1), and print a dot for each. $(2)
# is their name in the output.
override define install
	@printf 'Installing %s ' '$(2)' >&2; \
	{ $(1)/bin/python -m pip install --disable-pip-version-check --no-compile $(3) 2>&1 || echo FAILED; } | { \
		errors=; while IFS= read -r line; do case $$line in \
			Collecting*|Obtaining*|Processing*) printf . ;; \
			ERROR*|error:*) errors="$$errors$$line\n" ;; \
			FAILED) printf '\n%b' "$$errors"; \
				echo "Installing failed: fix what pip says above (is a package registry reachable?), then run make again."; \
				exit 1 ;; \
		esac; done; echo; } >&2
endef

# pip first, because the version that comes with Python takes twice as long for the rest.
$(STAMP): requirements-run.txt pyproject.toml client/pyproject.toml
	@python=$$(for name in python3 python3.13 python3.12 python3.11; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Batchback needs Python 3.11 or newer: install it as python3, python3.13, python3.12 or python3.11." >&2; exit 1; \
	fi; \
	echo "Creating .venv with $$("$$python" --version) (first run only)." >&2; \
	"$$python" -m venv --clear .venv
	@sed -n '/^pip==/,/[^\\]$$/p' requirements-run.txt > .venv/requirements-pip.txt
	$(call install,.venv,pip,$(PINNED) .venv/requirements-pip.txt)
	$(call install,.venv,the dependencies,$(PINNED) requirements-run.txt)
	$(call install,.venv,Batchback,--no-deps --no-build-isolation -e ./client -e .)
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(STAMP)
	$(call install,.venv,the development tools,$(PINNED) requirements-dev.txt)
	@touch $@

$(TOOLS_STAMP): requirements-tools.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(TOOLS)
	$(call install,$(TOOLS),the tools for pinned packages,$(PINNED) requirements-tools.txt)
	@touch $@

$(SITE_STAMP): requirements-docs.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(SITE)
	$(call install,$(SITE),the documentation tools,$(PINNED) requirements-docs.txt)
	@touch $@

$(EMULATOR_STAMP): requirements-e2e.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(EMULATOR)
	$(call install,$(EMULATOR),the AWS emulator,$(PINNED) requirements-e2e.txt)
	@touch $@

$(BROWSER_STAMP): requirements-browser.txt | $(STAMP)
	@rm -rf $(BROWSER)
	$(call install,.venv,the browser driver,$(PINNED) requirements-browser.txt --target $(BROWSER))
	@touch $@
