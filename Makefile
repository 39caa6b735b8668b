# Everything runs from here; each target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
POLICY ?= promotions.yaml
SECONDS ?= 180
BIN := .venv/bin
SET_UP := .venv/.set-up
# Material would print a notice about another project's plans at every build.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs
PORT ?= 8000
CODE := app.py bench infra lambda local scripts tests

.PHONY: help demo test tests coverage torture lint docs format policy explain schema bench local stop setup pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SET_UP) ## the main job on a local AWS, step by step; leaves nothing running
	@$(BIN)/python -m local demo

test: $(SET_UP) ## style, types and every test, on a local AWS
	@scripts/check.sh lint tests

tests: $(SET_UP) ## every test, without style and types
	@scripts/check.sh tests

coverage: $(SET_UP) ## every test, and which lines and branches they run
	@scripts/coverage.sh

torture: $(SET_UP) ## kill, fuzz and interleave for SECONDS=600, with new examples each time
	@$(BIN)/python -m tests.torture --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

lint: $(SET_UP) ## style, format, spelling, workflows, imports between packages, docs, types
	@scripts/check.sh lint

docs: $(SET_UP) ## build the docs into site/; SERVE=1 shows them on this machine and follows changes
	@$(MKDOCS) $(if $(SERVE),serve --dev-addr 127.0.0.1:$(PORT),build --strict --quiet)

format: $(SET_UP) ## rewrite the formatting
	@$(BIN)/python -m ruff format $(CODE)
	@$(BIN)/python -m ruff check --fix $(CODE)

policy: $(SET_UP) ## check promotions.yaml, or POLICY=another.yaml, for cdk.json and SETTINGS="-c name=value"
	@$(BIN)/python -m infra.policy.check $(POLICY) $(SETTINGS)

explain: $(SET_UP) ## what a policy would decide: WHY="--repository team/web --tag build-1 --findings f.json"
	@$(BIN)/python -m infra.policy.explain --policy $(POLICY) $(if $(WHY),$(WHY),--help) || [ $$? -eq 1 ]

schema: $(SET_UP) ## write docs/reference/policy.schema.json anew, after a change of the model
	@$(BIN)/python -m infra.policy.schema > docs/reference/policy.schema.json

bench: $(SET_UP) ## measure beside boto3, the AWS CLI and skopeo; writes docs/reference/benchmarks.md
	@$(BIN)/python -m bench

local: $(SET_UP) ## start a local AWS with the stack deployed, POLICY=another.yaml or SETTINGS="-c name=value" if you like
	@$(BIN)/python -m local up --policy $(POLICY) $(SETTINGS)

stop: ## end the local AWS
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local stop; fi

setup: $(SET_UP) ## install everything into .venv and node_modules

$(SET_UP): requirements.txt requirements-dev.txt lambda/requirements.txt package-lock.json scripts/setup.sh
	@scripts/setup.sh $(PYTHON)
	@touch $@

pins: $(SET_UP) ## resolve the pinned versions anew; KEEP=1 changes none that may stay
	@KEEP=$(KEEP) scripts/pins.sh

clean: stop ## remove all that was made here
	rm -rf .venv .local node_modules cdk.out site .coverage .hypothesis .*_cache
