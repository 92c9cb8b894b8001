# Waypost: everything that a person or a machine starts. Bare `make` prints this list.
# Each variable can be given on the command line or in the environment: make run PANEL_PORT=8000

PYTHON ?= python3
WAYPOST_VENV ?= .venv
STATE ?= var
ARGS ?=

PANEL_PORT ?= 7800
PANEL_STREAM_PORT ?= 7801
PANEL_ENROLL_PORT ?= 7802
AGENT_HTTP_PORT ?= 7880
AGENT_HTTPS_PORT ?= 7443
AGENT_STATUS_PORT ?= 7803
PEBBLE_PORT ?= 7804
PEBBLE_MANAGEMENT_PORT ?= 7805
PEBBLE_DNS_PORT ?= 7806
PEBBLE_DNS_MANAGEMENT_PORT ?= 7807
WAYPOST_TEST_AUTHORITY ?= on

export WAYPOST_VENV PANEL_PORT PANEL_STREAM_PORT PANEL_ENROLL_PORT AGENT_HTTP_PORT AGENT_HTTPS_PORT AGENT_STATUS_PORT
export PEBBLE_PORT PEBBLE_MANAGEMENT_PORT PEBBLE_DNS_PORT PEBBLE_DNS_MANAGEMENT_PORT WAYPOST_TEST_AUTHORITY

BIN := $(WAYPOST_VENV)/bin
PROVISION := $(PYTHON) -m panel.embedded.provision
SUPERVISE := $(BIN)/python -m panel.embedded.supervisor --state "$(STATE)"
PROTOC := $(BIN)/python -m grpc_tools.protoc -I. --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc

.DEFAULT_GOAL := help
.PHONY: help run agent test test-pages test-newer test-postgresql test-docker check bench bench-docker bench-lighthouse soak protos protos-current messages lock screenshots clean

help: ## This list
	@echo "Waypost"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Variables (NAME=value after make, or in the environment):"
	@echo "  STATE=$(STATE)             the folder of all state"
	@echo "  PANEL_PORT=$(PANEL_PORT)       PANEL_STREAM_PORT=$(PANEL_STREAM_PORT)  PANEL_ENROLL_PORT=$(PANEL_ENROLL_PORT)"
	@echo "  AGENT_HTTP_PORT=$(AGENT_HTTP_PORT)  AGENT_HTTPS_PORT=$(AGENT_HTTPS_PORT)   AGENT_STATUS_PORT=$(AGENT_STATUS_PORT)"
	@echo "  WAYPOST_TEST_AUTHORITY=$(WAYPOST_TEST_AUTHORITY)   off: no Pebble, the certificate authority of a laptop"
	@echo "  PEBBLE_PORT=$(PEBBLE_PORT)      PEBBLE_MANAGEMENT_PORT=$(PEBBLE_MANAGEMENT_PORT)"
	@echo "  PEBBLE_DNS_PORT=$(PEBBLE_DNS_PORT)  PEBBLE_DNS_MANAGEMENT_PORT=$(PEBBLE_DNS_MANAGEMENT_PORT)"
	@echo "  LETSENCRYPT_DIR          certificates and keys, in certbot's layout; STATE/letsencrypt when not given"
	@echo "  PANEL_HOST, PANEL_STREAM_HOST  127.0.0.1; 0.0.0.0 lets other machines in (docs/operations.md has all settings)"
	@echo "  PYTHON=$(PYTHON)        any Python from 3.11"

run: ## Install what is missing, then start panel, agent, a local nginx and a test authority; Ctrl-C stops them
	@$(PROVISION) run
	@exec $(SUPERVISE)

agent: ## On another machine: join it and run its agent and nginx (PANEL=https://… TOKEN=wp1.…)
	@$(PROVISION) run
	@AGENT_PANEL_URL="$${PANEL:-$$AGENT_PANEL_URL}" AGENT_JOIN_TOKEN="$${TOKEN:-$$AGENT_JOIN_TOKEN}" \
		exec $(SUPERVISE) --agent-only

test: ## All tests, with a real nginx and a real browser (ARGS="-k name" for some)
	@$(PROVISION) test
ifeq ($(strip $(ARGS)),)
	@$(BIN)/python -m tests.beside "$(STATE)/log"
else
	@$(BIN)/python -m pytest $(ARGS)
endif

test-pages: ## Each page and state in a browser: accessibility, HTML, policy, console, narrow windows
	@$(PROVISION) test
	@$(BIN)/python -m pytest tests/e2e/test_pages.py $(ARGS)

test-newer: ## Tests with the newest nginx of Debian, fetched and not installed
	@$(PROVISION) test
	@TEST_NEWER=1 NEWER_CACHE="$(abspath $(STATE))/newer" $(BIN)/python -m pytest tests/newer $(ARGS)

test-postgresql: ## The services' tests once more, on a real PostgreSQL
	@$(PROVISION) test
	@WAYPOST_TEST_DATABASE=postgresql $(BIN)/python -m pytest tests/panel/services tests/panel/test_migrations.py $(ARGS)

test-docker: ## The tests with a real Docker Engine: networks, upstreams, compose.yaml (root, or DOCKER_HOST)
	@$(PROVISION) docker
	@$(BIN)/python -m pytest tests/docker $(ARGS)

check: protos-current ## Lint, types, import rules, templates, generated code and pins
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg
	$(BIN)/djlint templates --lint --quiet --profile jinja --ignore H015,H043,J018
	$(BIN)/python -m panel.embedded.lock check
	$(BIN)/python -m panel.embedded.messages check

bench: ## Measure the promises: apply, round trip, form, burst, idle agents, live pages, certificates, footprint
	@$(PROVISION) bench
	@$(BIN)/python -m benchmarks.apply
	@$(BIN)/python -m benchmarks.roundtrip
	@$(BIN)/python -m benchmarks.form_post
	@$(BIN)/python -m benchmarks.burst
	@$(BIN)/python -m benchmarks.idle_agents
	@$(BIN)/python -m benchmarks.streams
	@$(BIN)/python -m benchmarks.certificates
	@$(BIN)/python -m benchmarks.footprint

bench-docker: ## Measure the containers: image sizes, memory, from up to the setup link, networks put back
	@$(PROVISION) docker
	@$(BIN)/python -m benchmarks.docker

bench-lighthouse: ## Measure the five main pages with Lighthouse, as on a phone (needs Node.js; nothing else may run)
	@$(PROVISION) bench
	@$(BIN)/python -m benchmarks.lighthouse $(ARGS)

soak: ## Ten minutes of edits and random kills; nothing may be lost (ARGS="--minutes 60")
	@$(PROVISION) bench
	@$(BIN)/python -m benchmarks.soak $(ARGS)

protos: ## Generate the code of protos/command_stream.proto
	@$(PROVISION) check
	$(PROTOC) --python_out=. --grpc_python_out=. --mypy_out=. --mypy_grpc_out=. protos/command_stream.proto

protos-current:
	@$(PROVISION) check
	@generated=$$(mktemp -d) && trap 'rm -rf "$$generated"' EXIT && \
	$(PROTOC) --python_out="$$generated" --grpc_python_out="$$generated" --mypy_out="quiet:$$generated" \
		--mypy_grpc_out="quiet:$$generated" protos/command_stream.proto && \
	for file in "$$generated"/protos/*; do \
		diff -u "protos/$${file##*/}" "$$file" || { echo "Generated code is not current: run make protos."; exit 1; }; \
	done && echo "Generated code is current."

messages: ## Write the catalogs of translations from the words in code and templates; says what is missing
	@$(PROVISION) check
	@$(BIN)/python -m panel.embedded.messages write

lock: ## Write requirements.txt from the virtual environment, after a change of setup.cfg
	@$(PROVISION) check
	$(BIN)/python -m panel.embedded.lock write

screenshots: ## Make the README's pictures from a running, seeded Waypost
	@$(PROVISION) test
	@$(BIN)/python -m docs.screenshots

clean: ## Remove the virtual environment and caches (never the state)
	rm -rf "$(WAYPOST_VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
