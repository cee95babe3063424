# The two commands: `make run` and `make test` (about five minutes on two cores). Everything happens in .venv here.
#   make run                      play the demonstration clip, publish to an embedded broker, save edged-demo.jpg and .mp4
#   make run SOURCE=0             a camera; also rtsp://…, csi:0, a video, an image, a folder
#   make run CONFIG=configs/barn.toml    its cameras and broker; with SOURCE its models alone, and the rest as above

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOOK   := $(VENV)/.look
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c tests/constraints.txt

# Python compiles what it imports, once, and keeps it: pip would compile all of 80 MB, and the tests' hundreds of processes
# would each compile our modules anew where keeping it is switched off.
unexport PYTHONDONTWRITEBYTECODE

# What `make run` plays: yours, else the clip of configs/demo.toml. The shell reads it: a name may have quotes in it.
SOURCE ?=
CONFIG ?=
FOR    ?=

.PHONY: run test system cuda kernels lint homeassistant check clean

run: $(LOOK)
	@$(BIN)/edged run $(if $(FOR),--for $(FOR)) --config "$${CONFIG:-configs/demo.toml}" \
	    $(if $(SOURCE),--source "$$SOURCE" --loop) $(if $(SOURCE)$(if $(CONFIG),,demo),--embedded-broker --preview edged-demo)

# Three processes for two cores: a third of their time is waiting.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) '*' 3 / 2)

test: $(STAMP)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --ignore tests/system --ignore tests/cuda

# The CUDA backend: on this machine's GPU, or on a driver that runs our kernels on the CPU. Needs the CUDA toolkit, g++.
cuda: $(STAMP)-cuda kernels
	$(BIN)/python -m pytest -q tests/cuda

kernels: $(STAMP)
	$(BIN)/python deploy/kernels.py

# Real broker, TensorRT builder, RTSP, V4L2 in a virtual machine; as root, on Debian or Ubuntu, it installs what it needs.
# JOBS=3 runs three files at a time.
system: $(STAMP)-system
	sh tests/system/setup.sh
	$(BIN)/python -m pytest -q $(if $(JOBS),-n $(JOBS) --dist loadfile --no-loadscope-reorder) tests/system

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.layers
	$(BIN)/python -m tools.size

# Discovery with the real Home Assistant, whose Python lies in a folder of its own; as root, on Debian or Ubuntu.
homeassistant: $(STAMP)-system
	sh tools/homeassistant/install.sh $(VENV)-ha
	$(BIN)/python -m tools.homeassistant --command "$$(cat $(VENV)-ha/command)" --record tests/unit/homeassistant.json

check: lint test system cuda

# Only what a look needs.
$(LOOK): pyproject.toml tests/constraints.txt
	@echo 'Installing into $(VENV): 150 MB to download, 450 MB on disk, about half a minute on a fast line.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[headless,broker]'
	@touch $@

$(STAMP): pyproject.toml tests/constraints.txt
	@echo 'Installing the tools of developers into $(VENV): 1 GB on disk, one to four minutes.'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[dev]'
	@touch $@ $(LOOK)

# Of these only the Python API is read, to see that what we call is there; their libraries are not needed.
TENSORRT_APIS := tensorrt-cu12-bindings==10.3.0 tensorrt-cu12-bindings==10.13.2.6 \
    tensorrt-cu12-bindings==10.16.1.11 tensorrt-cu13-bindings==11.4.0.106

# In a folder of its own: where it is installed, every start with a fresh store begins with a trial of it.
OPENVINO := openvino==2026.4.1

# A virtual camera that speaks ONVIF, without what it wants to be installed beside: we have it.
IPYCAM := ipycam==1.3.0

APART := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --upgrade --target

$(STAMP)-cuda: $(STAMP)
	sh tests/cuda/pycuda.sh $(BIN)/python
	touch $@

$(STAMP)-system: $(STAMP)
	sh tests/system/setup.sh
	$(PIP) --quiet -e '.[dev,systemd,tensorrt-rtx,archive]'
	printf '%s\n' $(TENSORRT_APIS) | xargs -P 4 -I WHEEL sh -c '$(APART) $(VENV)/tensorrt-api/$${0#*==} $$0' WHEEL
	$(APART) $(VENV)/openvino $(OPENVINO)
	$(APART) $(VENV)/ipycam $(IPYCAM)
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-ha build dist *.egg-info
