# TwinServe. `make` lists the targets. Everything installs into the clone, nothing global.

CASE    ?= digits
VERSION ?=
FRESH   ?=
ROW     ?= 0
PORT    ?= 4200
PYTHON  ?= python3
ARGS    ?=

export TWINSERVE_ARTIFACTS ?= $(ARTIFACTS)
ifeq ($(TWINSERVE_ARTIFACTS),)
unexport TWINSERVE_ARTIFACTS
endif
# pip reads PIP_FIND_LINKS and uv does not; hand it on.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif

BIN     := .venv/bin
STAGE   := $(BIN)/python -m pipelines
VERBOSE_FLAG := $(if $(VERBOSE),--verbose)
PICK    := --case $(CASE) $(if $(VERSION),--version $(VERSION))
MAKE_IT := --case $(CASE) $(if $(FRESH),--fresh) $(ARGS)
READY   := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo train export verify serve query check measure report stop clean test lint format types \
	prefect deployments bench-pipeline protos schema lock

help: ## List the targets
	@echo "TwinServe: one model, two frameworks, two servers, one verdict."
	@echo
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  CASE=digits      the case (default digits; others: make cases)"
	@echo "  VERSION=1        a version of it, for verify, check, measure, report and serve (default: the latest)"
	@echo "  FRESH=1          make it anew, also what is complete and unchanged"
	@echo "  ARGS='...'       more options for demo, train and export, such as ARGS='--epochs 5'"
	@echo "  ARTIFACTS=dir    another folder than artifacts/"
	@echo "  ROW=0            the row of the test split that query sends"
	@echo "  PORT=4200        the port of make prefect"
	@echo "  PYTHON=python3   the Python that .venv is made with: 3.11, 3.12 or 3.13"
	@echo "  VERBOSE=1        stack traces, and Prefect's own lines"

setup: $(READY) ## Install everything into .venv (the other targets do it when it is needed)

$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed, and '$(PYTHON)' is `$(PYTHON) --version 2>&1`. Name another: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/dev.txt
	@touch $@

demo: $(READY) ## Train, export, verify, serve, check, measure and report: the whole run
	@$(STAGE) $(VERBOSE_FLAG) demo $(MAKE_IT)

train: $(READY) ## Train both frameworks from the same weights on the same batches
	@$(STAGE) $(VERBOSE_FLAG) train $(MAKE_IT)

export: $(READY) ## Export what was trained to a numbered version
	@$(STAGE) $(VERBOSE_FLAG) export $(MAKE_IT)

verify: $(READY) ## Compare every exported file with its model in memory
	@$(STAGE) $(VERBOSE_FLAG) verify $(PICK)

check: $(READY) ## Start both servers and compare every answer with the model in memory
	@$(STAGE) $(VERBOSE_FLAG) check $(PICK)

measure: $(READY) ## Start both servers and measure readiness, memory, latency, throughput
	@$(STAGE) $(VERBOSE_FLAG) measure $(PICK)

report: $(READY) ## Write the report from what the stages have found
	@$(STAGE) $(VERBOSE_FLAG) report $(PICK)

serve: $(READY) ## Start both servers, print how to ask them, leave them running
	@$(STAGE) $(VERBOSE_FLAG) serve $(PICK)

query: $(READY) ## Send a row to both running servers, show the answers side by side
	@$(STAGE) $(VERBOSE_FLAG) query --case $(CASE) --row $(ROW)

stop: $(READY) ## Stop what serve started, and what a killed run left behind
	@$(STAGE) $(VERBOSE_FLAG) stop

cases: $(READY) ## List the cases
	@$(STAGE) cases

prefect: $(READY) ## Start Prefect's server and UI on loopback, until Ctrl-C
	@$(STAGE) $(VERBOSE_FLAG) prefect --port $(PORT)

deployments: $(READY) ## Offer the flow of every case to a running Prefect server, until Ctrl-C
	@$(STAGE) $(VERBOSE_FLAG) deployments

test: $(READY) ## Run all tests, with real servers
	@$(BIN)/python -m pytest $(ARGS)

lint: $(READY) ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-pipeline: $(READY) ## Measure the whole run: time, reuse, overhead, training throughput, memory
	@$(BIN)/python -m benchmarks.pipeline $(ARGS)

protos: $(READY) ## Make TorchServe's gRPC stubs again from our .proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. serving/torchserve/inference.proto

schema: $(READY) ## Write docs/report.schema.json from pipelines/facts.py
	$(BIN)/python -m pipelines.report.schema > docs/report.schema.json

lock: $(READY) ## Pin the newest versions that requirements/*.in allow
	$(BIN)/python requirements/lock.py

clean: ## Stop our servers, remove artifacts, reports, caches and state; .venv stays
	@if [ -e $(READY) ]; then $(STAGE) stop; fi
	rm -rf $(or $(TWINSERVE_ARTIFACTS),artifacts) .twinserve .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
