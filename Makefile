# Everything from a fresh clone on Linux: Python 3.11 to 3.13, pip, make and git are enough.
#
#   make demo                 track the cells of a synthetic movie, or of MOVIE=path
#   make test                 the tests, in a virtual display
#   make lint                 ruff, mypy, import-linter, npe2
#   make parity               compare with the live reference, all published networks
#   make bench                time it beside the live reference, and the bundled network
#   make weights              train the bundled network anew: 7 hours of one core, then DEVICE=cuda
#
# pip takes a CPU build of PyTorch where an index that it knows offers one (a version with the
# suffix +cpu counts as newer than the same one without); PIP_EXTRA_INDEX_URL names more indexes.

SHELL := /bin/bash
VENV ?= .venv
PEERS ?= .venv-parity
OUT ?= out/demo
MOVIE ?=
PYTEST_ARGS ?=
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
BIN := $(VENV)/bin
STAMP := $(VENV)/.napari-sam2-installed

.PHONY: help setup system demo test lint parity parity-record bench weights clean

help:
	@sed -n '3,8s/^# *//p' Makefile

setup: $(STAMP)

# A Python without ensurepip (Debian keeps it apart) gets pip from the pip outside. A new pip
# installs in half the time of the one that comes with Python 3.11.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 found: set PYTHON=path/to/python"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@echo 'installing into $(VENV): about 2 GB, some minutes'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		-c constraints.txt -e '.[all,test]'
	touch $@

# Libraries of the operating system that Qt and the virtual display need.
system:
	.ci/system-packages

demo: setup
	@if [ -n "$$DISPLAY" ]; then .ci/system-packages || true; fi
	$(BIN)/napari-sam2 demo $(if $(MOVIE),"$(MOVIE)") --out "$(OUT)" --overwrite

# One process a core, each with one thread: the networks of the tests are small, and threads that
# share a busy core wait for each other sixty times longer than they compute.
JOBS ?= auto
test: export OMP_NUM_THREADS ?= 1
# Set-up leaves compiling to the first import, which has to be let write what it compiled.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup system
	xvfb-run -a -s "-screen 0 1920x1080x24" $(BIN)/python -m pytest \
		-n $(JOBS) --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate src/napari_sam2/napari.yaml

# The reference lives in an environment of its own, which borrows torch and this package.
$(PEERS)/.installed: $(STAMP) tests/parity/setup_peers.sh tests/parity/requirements.txt
	tests/parity/setup_peers.sh $(VENV) $(PEERS)
	touch $@

parity: $(PEERS)/.installed
	$(PEERS)/bin/python -m tests.parity.live $(NETWORKS)

# Writes what the tests compare with, anew.
parity-record: $(PEERS)/.installed
	$(PEERS)/bin/python -m tests.parity.record

bench: $(PEERS)/.installed
	$(PEERS)/bin/python -m tests.benchmarks $(BENCH_ARGS)

# All stages, on the sets that DATA holds, by steps and not by time, so that a slower machine does
# the same. Each goes on where it was stopped. The fifth takes 8 minutes of a large GPU, or with
# DEVICE=cpu some hours of one core, the sixth less than that.
DEVICE ?= cpu
DATA ?= $(or $(NAPARI_SAM2_DATA),../shared/data)
RUNS ?= runs
TRAIN := OMP_NUM_THREADS=1 $(BIN)/python -m napari_sam2.training
STAGE := $(TRAIN) train --resume --data $(DATA) --minutes 0
weights: setup
	$(STAGE) --out $(RUNS)/stills --set muon=false --set max_steps=3862
	$(STAGE) --out $(RUNS)/clips --set muon=false --set max_steps=3150 \
		--from $(RUNS)/stills/checkpoint.pt
	$(STAGE) --out $(RUNS)/turned --set max_steps=3259 --set learning_rate=5e-4 \
		--set reset_presence=false --set seed=12 --from $(RUNS)/clips/checkpoint.pt
	$(STAGE) --out $(RUNS)/sizes --set max_steps=3760 --set learning_rate=5e-4 \
		--set reset_presence=false --set seed=13 --from $(RUNS)/turned/checkpoint.pt
	$(STAGE) --out $(RUNS)/many --set max_steps=1746 --set learning_rate=8e-4 \
		--set reset_presence=false --set seed=21 --set warmup=0.03 --device $(DEVICE) \
		--movies 1600 --no-validate --set still_batch=48 --set clip_frames=96 \
		--set still_objects=4 --set clip_objects=4 --set encoder_rest=0 --set data_workers=4 \
		--from $(RUNS)/sizes/checkpoint.pt
	$(STAGE) --out $(RUNS)/wide --set max_steps=1733 --set learning_rate=7e-4 \
		--set reset_presence=false --set seed=51 --set warmup=0.03 --device $(DEVICE) \
		--movies 1600 --no-validate --shares 0.34,0.53,0.09,0.04 --set ema_decay=0.997 \
		--set affinity=0 --set still_batch=24 --set clip_frames=48 --set still_objects=4 \
		--set clip_objects=4 --set encoder_rest=0.4 --set asked_again=0.5 \
		--set motion_told=0.6 --set absent=2 --from $(RUNS)/many/checkpoint.pt
	$(TRAIN) export --out $(RUNS)/wide --target $(RUNS)/wide.safetensors
	$(TRAIN) export --out $(RUNS)/many --target $(RUNS)/many.safetensors
	$(TRAIN) export --out $(RUNS)/wide --target $(RUNS)/bundled.safetensors \
		--mixed-with $(RUNS)/many.safetensors --share 0.65 --presence -0.6
	$(TRAIN) divisions --out $(RUNS)/parting --target $(RUNS)/parting.safetensors
	$(TRAIN) divisions --out $(RUNS)/division --target $(RUNS)/division.safetensors \
		--from $(RUNS)/parting.safetensors --nuclei 2000 --epochs 5 --rate 1.5e-3
	$(TRAIN) judge --data $(DATA) --out $(RUNS)/judge --target $(RUNS)/judge.safetensors \
		--of $(RUNS)/wide.safetensors

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
