# TwinServe. `make` lists the targets. Everything installs into the clone, nothing global.

CASE    ?= digits
VERSION ?=
FRESH   ?=
ROW     ?= 0
SAMPLE  ?=
PORT    ?= 4200
PYTHON  ?= python3
JOBS    ?= 2
ARGS    ?=

export TWINSERVE_ARTIFACTS ?= $(ARTIFACTS)
ifeq ($(TWINSERVE_ARTIFACTS),)
unexport TWINSERVE_ARTIFACTS
endif
ifdef LAUNCHER
export TWINSERVE_LAUNCHER := $(LAUNCHER)
endif
ifneq ($(SAMPLE),)
export TWINSERVE_SAMPLE := $(SAMPLE)
endif
# pip reads PIP_FIND_LINKS and uv does not; hand it on.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
# Many images of Python forbid to keep what it has compiled; then every process of a run compiles TensorFlow's modules anew.
unexport PYTHONDONTWRITEBYTECODE

BIN     := .venv/bin
STAGE   := $(BIN)/python -m pipelines
VERBOSE_FLAG := $(if $(VERBOSE),--verbose)
PICK    := --case $(CASE) $(if $(VERSION),--version $(VERSION))
MAKE_IT := --case $(CASE) $(if $(FRESH),--fresh) $(ARGS)
READY   := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup setup-tfx setup-fuzz demo train export verify serve query playground deploy rollback check measure compare report stop clean test lint format types \
	prefect deployments bench-pipeline bench-scale bench-server bench-loadgen protos schema lock up down logs ps images test-docker drills fuzz lineage push retrain

help: ## List the targets
	@echo "TwinServe: one model, two frameworks, two servers, one verdict."
	@echo
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  CASE=digits      the case (default digits; others: make cases)"
	@echo "  VERSION=1        a version of it, for verify, check, measure, report and serve (default: the latest)"
	@echo "  FRESH=1          make it anew, also what is complete and unchanged"
	@echo "  SAMPLE=50000     so many rows of the case's data, evenly spread (default: all)"
	@echo "  ARGS='...'       more options for demo, train and export, such as ARGS='--epochs 5'"
	@echo "  ARTIFACTS=dir    another folder than artifacts/"
	@echo "  LAUNCHER=auto    where servers run: docker, process, or auto (containers where engine and images are)"
	@echo "  ROW=0            the row of the test split that query sends"
	@echo "  SECONDS=600      how long make measure takes for a scenario of an endpoint (QUICK=1: about 40 s in all)"
	@echo "  ONLY='memory'    parts of make measure: load, in-process, cold-start, overhead, batching, memory (default: all)"
	@echo "  PORT=4200        the port of make prefect; of make playground (8081 without it)"
	@echo "  JOBS=2           processes that run the tests; each starts servers, so give 2 GB to each"
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

setup-tfx: $(READY) ## Install TFX into .venv-tfx, 3 GB (stages that need it do it themselves)
	@$(BIN)/python -m pipelines.tfx.environment

setup-fuzz: $(READY) ## Install atheris, which guides a part of make fuzz (that does it itself, and goes on without)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/fuzz.in || echo "atheris cannot be installed here."

demo: $(READY) ## Train, export, verify, serve, check, measure and report: the whole run
	@$(STAGE) $(VERBOSE_FLAG) demo $(MAKE_IT)

retrain: $(READY) ## Replay a year month by month: drift, retraining where it is due, blessing, push (CASE=flights)
	@$(STAGE) $(VERBOSE_FLAG) retrain $(if $(filter-out digits,$(CASE)),--case $(CASE)) $(if $(FRESH),--fresh) $(ARGS)

train: $(READY) ## Train both frameworks from the same weights on the same batches
	@$(STAGE) $(VERBOSE_FLAG) train $(MAKE_IT)

export: $(READY) ## Export what was trained to a numbered version
	@$(STAGE) $(VERBOSE_FLAG) export $(MAKE_IT)

verify: $(READY) ## Compare every exported file with its model in memory
	@$(STAGE) $(VERBOSE_FLAG) verify $(PICK)

check: $(READY) ## Start both servers and compare every answer with the model in memory
	@$(STAGE) $(VERBOSE_FLAG) check $(PICK)

measure: $(READY) ## Measure both servers by MLPerf's rules, and what their cost is made of (hours; QUICK=1, SECONDS=30, ONLY=memory)
	@$(STAGE) $(VERBOSE_FLAG) measure $(PICK) $(if $(QUICK),--quick) $(if $(SECONDS),--seconds $(SECONDS)) $(foreach part,$(ONLY),--only $(part)) $(ARGS)

compare: $(READY) ## Hold measurement B against A (A=1 B=2, or report.json files); fails where B is slower beyond noise
	@test -n "$(A)" -a -n "$(B)" || { echo "Which two? make compare A=1 B=2" >&2; exit 2; }
	@$(STAGE) $(VERBOSE_FLAG) compare $(A) $(B) --case $(CASE)

report: $(READY) ## Write the report from what the stages have found
	@$(STAGE) $(VERBOSE_FLAG) report $(PICK)

push: $(READY) ## Put VERSION=N in service, for both servers together; only with every blessing (a case with spans)
	@test -n "$(VERSION)" || { echo "Which version? make push CASE=flights VERSION=2" >&2; exit 2; }
	@$(STAGE) $(VERBOSE_FLAG) push $(VERSION) --case $(CASE)

serve: $(READY) ## Start both servers, print how to ask them, leave them running
	@$(STAGE) $(VERBOSE_FLAG) serve $(PICK)

query: $(READY) ## Send a row to both running servers, show the answers side by side
	@$(STAGE) $(VERBOSE_FLAG) query --case $(CASE) --row $(ROW)

playground: $(READY) ## A page to play with: draw a digit or edit a row, see every live answer (PORT=8081)
	@$(STAGE) $(VERBOSE_FLAG) playground $(PICK) $(if $(filter-out file,$(origin PORT)),--port $(PORT)) $(ARGS)

deploy: $(READY) ## Have the running servers serve VERSION=N, or the one pushed last, without a failed or wrong answer
	@$(STAGE) $(VERBOSE_FLAG) deploy $(PICK)

rollback: $(READY) ## Go back to the version that was served before the last deploy
	@$(STAGE) $(VERBOSE_FLAG) rollback --case $(CASE)

lineage: $(READY) ## Where VERSION=N came from: models, blessings, rows, spans (a case with spans, as CASE=flights)
	@test -n "$(VERSION)" || { echo "Which version? make lineage CASE=flights VERSION=1" >&2; exit 2; }
	@$(STAGE) $(VERBOSE_FLAG) lineage $(VERSION) --case $(CASE)

stop: $(READY) ## Stop what serve started, and what a killed run left behind
	@$(STAGE) $(VERBOSE_FLAG) stop

cases: $(READY) ## List the cases
	@$(STAGE) cases

prefect: $(READY) ## Start Prefect's server and UI on loopback, until Ctrl-C
	@$(STAGE) $(VERBOSE_FLAG) prefect --port $(PORT)

deployments: $(READY) ## Offer the flow of every case to a running Prefect server, until Ctrl-C
	@$(STAGE) $(VERBOSE_FLAG) deployments

up: $(READY) ## Start both servers, and Prefect's, by Docker Compose (MONITORING=1: Prometheus and Grafana too)
	@$(BIN)/python -m pipelines.compose $(VERBOSE_FLAG) up $(PICK) $(if $(MONITORING),--monitoring)

down: $(READY) ## Stop and remove what up started (VOLUMES=1: with what it has stored)
	@$(BIN)/python -m pipelines.compose down $(if $(VOLUMES),--volumes)

logs: $(READY) ## What the containers of up have said (ARGS='--follow torchserve')
	@$(BIN)/python -m pipelines.compose logs $(ARGS)

ps: $(READY) ## What up started, and how healthy it is
	@$(BIN)/python -m pipelines.compose ps

images: $(READY) ## Pull or build the containers' images (NETWORK=host: builds over this machine's network)
	@$(STAGE) $(VERBOSE_FLAG) images $(if $(NETWORK),--network $(NETWORK)) $(if $(CA_CERTIFICATES),--ca-certificates $(CA_CERTIFICATES))

test: $(READY) ## Run all tests that need no Docker engine, with real servers
	@$(BIN)/python -m pytest $(if $(filter-out 1,$(JOBS)),-n $(JOBS) --dist loadfile) $(ARGS)

# A machine's own authorities, where Debian keeps them; builds need them only behind an https mirror.
OWN_CERTIFICATES := $(if $(wildcard /usr/local/share/ca-certificates/*.crt),--ca-certificates /usr/local/share/ca-certificates)

test-docker: $(READY) ## Run the tests with real containers; starts an engine where root may
	@tests/docker/engine.sh
	@tests/docker/base_image.sh
	@$(STAGE) $(VERBOSE_FLAG) images --embedded --network host $(OWN_CERTIFICATES)
	@$(BIN)/python -m pytest -m docker $(ARGS)

lint: $(READY) ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench-pipeline: $(READY) ## Measure the whole run: time, reuse, overhead, training throughput, memory
	@$(BIN)/python -m benchmarks.pipeline $(ARGS)

bench-scale: $(READY) ## Train on ×1, ×10, ×30 the flights' rows: time a row, memory (10 minutes; ARGS='--quick')
	@$(BIN)/python -m benchmarks.scale $(ARGS)

bench-server: $(READY) ## Measure the embedded server against its Python peers (about 45 minutes; ARGS='--quick')
	@$(BIN)/python -m benchmarks.server $(ARGS)

bench-loadgen: $(READY) ## Measure the load generator against wrk at the same endpoints (about 2 minutes)
	@$(BIN)/python -m benchmarks.loadgen $(ARGS)

drills: $(READY) ## Break things on purpose, with real containers (about 3 minutes; ARGS='--only oom' for some)
	@$(BIN)/python -m benchmarks.drills --case $(CASE) --write docs/drills.md $(ARGS)

fuzz: setup-fuzz ## Send the embedded server 100,000 inputs that nobody meant (5 minutes; ARGS='--inputs 10000 --target rest')
	@$(BIN)/python -m benchmarks.fuzz $(ARGS)

protos: $(READY) ## Make TorchServe's gRPC stubs again from our .proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --grpc_python_out=. serving/torchserve/inference.proto

schema: $(READY) ## Write docs/report.schema.json from pipelines/facts
	$(BIN)/python -m pipelines.report.schema > docs/report.schema.json

lock: $(READY) ## Pin the newest versions that requirements/*.in allow
	$(BIN)/python requirements/lock.py

clean: ## Stop our servers, remove artifacts, reports, caches, state and packages of images; .venv stays
	@if [ -e $(READY) ]; then $(STAGE) stop; fi
	rm -rf $(or $(TWINSERVE_ARTIFACTS),artifacts) .twinserve build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +
