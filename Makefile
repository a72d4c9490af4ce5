# Needs Python 3.11 or newer, make and a package registry. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help install dev run serve test check docs elsewhere e2e anywhere package simulate soak large load hostile fuzz mutants bench pictures audit lock clean

# What the caller may set. It is data: as `$(call quoted,NAME)` neither make nor the shell runs what is
# in it, and make hands on in the environment what is set on its command line as it stands there.
STAGE ?= prod
SECONDS ?= 60
override quoted = '$(subst ','\'',$(value $(1)))'
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval override $(name) := $$(value $(name)))))

# All others are the Makefile's own.
override BIN := .venv/bin
override PYTEST := $(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
# Newer than what it was made from: the environment has what `make run` needs, and the development
# tools too.
override STAMP := .venv/.stamp
override DEV_STAMP := .venv/.dev-stamp
# What looks after the pins: in an environment of its own, so that it changes nothing that is tested.
override TOOLS := .venv/tools
override TOOLS_STAMP := $(TOOLS)/.stamp
# What makes the site: the same.
override SITE := build/docs
override SITE_STAMP := $(SITE)/.stamp
# The emulator of `make e2e`: so does it.
override EMULATOR := build/e2e
override EMULATOR_STAMP := $(EMULATOR)/.stamp
# Nothing that is pinned has to be built: a build would run what is not pinned.
override PINNED := --require-hashes --no-deps --only-binary :all: -r
override COMPILE := $(TOOLS)/bin/uv pip compile --quiet --generate-hashes --no-annotate --python-version 3.11 --custom-compile-command "make lock"

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: $(STAMP) ## send one batch through the whole service and show the callback that comes out
	@exec $(BIN)/python -m batchback_local.demo

serve: $(STAMP) ## run the whole service on this machine until Ctrl-C
	@exec $(BIN)/batchback local

test: $(DEV_STAMP) ## run the tests
	@$(PYTEST)

check: $(DEV_STAMP) ## everything that must be green: lint, format, types, tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(PYTEST)

e2e: $(DEV_STAMP) $(EMULATOR_STAMP) ## package the service, and run what ships on an emulator of AWS
	@exec $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder e2e

# With --quiet MkDocs would not count its warnings, which are what fails it.
docs: $(SITE_STAMP) ## build the documentation as a site: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --clean --config-file website/mkdocs.yml
	@$(SITE)/bin/python -m website.check

elsewhere: $(DEV_STAMP) ## run the tests at another date and in another time zone
	@exec $(BIN)/python -m tests.anywhere --here

anywhere: $(DEV_STAMP) ## run the tests in six places that have little in common
	@exec $(BIN)/python -m tests.anywhere

install: $(STAMP) ## install what the commands of a checkout need, into .venv

dev: $(DEV_STAMP) ## install the development tools too, and run nothing

package: $(STAMP) ## make the zip and the template that a pipeline deploys, for STAGE=prod
	@exec $(BIN)/batchback package --stage $(call quoted,STAGE) $(if $(value ARCHITECTURE),--architecture $(call quoted,ARCHITECTURE))

simulate: $(DEV_STAMP) ## break the protocol's surroundings in every way for SECONDS=60
	@exec $(BIN)/python -m tests.simulation $(call quoted,SECONDS)

soak: $(DEV_STAMP) ## kill real worker processes in mid-job, and see every batch end all the same
	@exec $(BIN)/python -m tests.trials.soak

large: $(DEV_STAMP) ## take batches of ten thousand jobs through the whole service on this machine
	@exec $(BIN)/python -m tests.trials.large

load: $(DEV_STAMP) ## count what much work costs while something is wrong, on a simulated clock
	@exec $(BIN)/python -m tests.trials.load

hostile: $(DEV_STAMP) ## call servers that mean harm, in the clear and over TLS, on the real clock
	@exec $(BIN)/python -m tests.trials.hostile

bench: $(DEV_STAMP) ## measure it beside what one would take instead; FULL=1 for all tables
	@exec $(BIN)/python -m benchmarks $(if $(value FULL),--full)

pictures: $(STAMP) ## draw the pictures of the docs anew
	@exec $(BIN)/python -m pictures

fuzz: $(DEV_STAMP) ## send the running service what docs/openapi.yaml allows and what not, for SECONDS=60
	@exec $(BIN)/python -m tests.fuzz $(call quoted,SECONDS)

mutants: $(DEV_STAMP) ## make mistakes in copies of the code, and see the tests find each
	@exec $(BIN)/python -m tests.mutants

audit: $(TOOLS_STAMP) ## look up every pin among the known vulnerabilities
	@exec $(BIN)/python -m tests.audit

lock: $(TOOLS_STAMP) ## renew the hashes of what is pinned with them
	@for file in requirements.txt requirements-docs.txt requirements-tools.txt; do $(COMPILE) "$$file" -o "$$file" || exit; done
	@for file in run dev e2e; do $(COMPILE) --no-deps "requirements-$$file.txt" -o "requirements-$$file.txt" || exit; done

clean: ## remove the environment and all caches
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info client/build client/src/*.egg-info

# Install into the environment $(1) what the options $(3) list, with a dot for each package; $(2) is
# what the line calls it.
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

# Its pip first: the one that Python brings takes twice as long for the rest.
$(STAMP): requirements-run.txt pyproject.toml client/pyproject.toml
	@python=$$(for name in python3 python3.13 python3.12 python3.11; do \
		"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; \
	done); \
	if [ -z "$$python" ]; then \
		echo "Batchback needs Python 3.11 or newer, and none of python3, python3.13, python3.12 and python3.11 is one." >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version), once." >&2; \
	"$$python" -m venv --clear .venv
	@sed -n '/^pip==/,/[^\\]$$/p' requirements-run.txt > .venv/requirements-pip.txt
	$(call install,.venv,pip,$(PINNED) .venv/requirements-pip.txt)
	$(call install,.venv,what make run needs,$(PINNED) requirements-run.txt)
	$(call install,.venv,Batchback,--no-deps --no-build-isolation -e ./client -e .)
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(STAMP)
	$(call install,.venv,the development tools,$(PINNED) requirements-dev.txt)
	@touch $@

$(TOOLS_STAMP): requirements-tools.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(TOOLS)
	$(call install,$(TOOLS),what looks after the pins,$(PINNED) requirements-tools.txt)
	@touch $@

$(SITE_STAMP): requirements-docs.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(SITE)
	$(call install,$(SITE),what makes the site,$(PINNED) requirements-docs.txt)
	@touch $@

$(EMULATOR_STAMP): requirements-e2e.txt | $(STAMP)
	@$(BIN)/python -m venv --clear $(EMULATOR)
	$(call install,$(EMULATOR),the emulator of AWS,$(PINNED) requirements-e2e.txt)
	@touch $@
