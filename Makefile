# xlrank: every target does its own set-up. "make help" lists them.

VENV ?= .venv
PYTHON ?= python3
COLLECTION ?= mini
DOCUMENTS ?= en
FIELDS ?= title+description
DEPTH ?= 50
PRECISION ?= auto
SYSTEMS ?=

empty :=
space := $(empty) $(empty)
comma := ,

# LANG is also the shell's locale variable: only a value given on the command line names a query language.
ifeq ($(origin LANG),command line)
QUERY_LANGUAGES := $(subst $(comma),$(space),$(LANG))
endif
override LANG := C.UTF-8
export LANG
export LC_ALL := C.UTF-8
MAKEOVERRIDES :=

OUT ?= results/$(subst :,-,$(subst /,-,$(COLLECTION)))-$(if $(QUERY_LANGUAGES),$(subst $(space),-,$(QUERY_LANGUAGES)),all)-$(DOCUMENTS)
READY := $(VENV)/.ready
RUN := $(VENV)/bin
ORIGINALS := .venv-originals
ORIGINALS_READY := $(ORIGINALS)/.ready
BROWSERS := chromium chromium-browser google-chrome chrome
WITH_ORIGINALS := XLRANK_ORIGINALS_PYTHON="$(CURDIR)/$(ORIGINALS)/bin/python"

.PHONY: help setup originals browser eval test lint types check bench modules clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@echo "make TARGET [NAME=value …]"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 12
	@echo "make eval LANG=ky            one query language (without LANG: all of the collection)"
	@echo "  COLLECTION=folder:PATH     your own documents.LANG.jsonl, topics.LANG.tsv, qrels.txt"
	@echo "  DOCUMENTS=en FIELDS=title+description DEPTH=50 SYSTEMS=dense,split PRECISION=fp32 OUT=results/x"

setup: $(READY)  ## virtual environment, locked dependencies, Java

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "xlrank needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Give one with PYTHON=…" >&2; exit 2; }
	@echo "setting up $(VENV) (once, a few minutes)"
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/python -m pip install -qq --disable-pip-version-check --requirement requirements.lock
	@$(RUN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@$(RUN)/python -c 'from xlrank.evaluation.metrics import warm_up; warm_up()'
	@touch $@

originals: $(ORIGINALS_READY)  ## a second environment with the libraries that "test" and "bench" compare with (adapters, peft, pytrec_eval)

$(ORIGINALS_READY): requirements-originals.lock
	@echo "setting up $(ORIGINALS) (once, a minute or two)"
	@test -x $(ORIGINALS)/bin/python || $(PYTHON) -m venv $(ORIGINALS)
	@$(ORIGINALS)/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements-originals.lock
	@touch $@

browser:  ## Debian's chromium, in which "test" opens the leaderboard (needs root, or sudo without a password)
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi; \
	echo "installing chromium (once, a minute or two)"; \
	$$as_root apt-get update -qq && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null || \
		{ echo "chromium cannot be installed here; install it in another way, so that one of $(BROWSERS) is on PATH" >&2; exit 2; }

eval: $(READY)  ## the main job: retrieve, rerank, evaluate, report (LANG=ky COLLECTION= DOCUMENTS= SYSTEMS= OUT=)
	@$(RUN)/xlrank eval --collection "$(COLLECTION)" $(foreach code,$(QUERY_LANGUAGES),--lang $(code)) --documents "$(DOCUMENTS)" \
		--fields "$(FIELDS)" --depth "$(DEPTH)" --precision "$(PRECISION)" $(if $(SYSTEMS),--systems "$(SYSTEMS)") --out "$(OUT)"

test: $(READY)  ## unit, parity and end-to-end tests; those in the original libraries only after "make originals", those in a browser after "make browser"
	@test ! -e $(ORIGINALS_READY) || export $(WITH_ORIGINALS); $(RUN)/python -m pytest $(TESTS)

lint: $(READY)  ## ruff
	@$(RUN)/ruff check . && $(RUN)/ruff format --check .

types: $(READY)  ## mypy --strict
	@$(RUN)/mypy

check: lint types test  ## all of the above

bench: $(READY) $(ORIGINALS_READY)  ## time xlrank and the original libraries (BENCH= names or options; none: all)
	@$(WITH_ORIGINALS) $(RUN)/python -m benchmarks $(BENCH)

modules: $(READY)  ## train modules for the embedded encoder into results/modules (needs XLRANK_SHARED; about two hours)
	@PATH="$(CURDIR)/$(RUN):$$PATH" bash experiments/train-modules.sh

clean:  ## remove the virtual environments and caches (results stay)
	rm -rf $(VENV) $(ORIGINALS) .mypy_cache .ruff_cache .pytest_cache
