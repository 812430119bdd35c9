# `make demo` and `make test` work on a fresh machine: each makes .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EMULATION := tests/emulation

.PHONY: demo test lint bench resolve emulated clean

demo: $(VENV)/ready
	$(BIN)/gpugraph demo

test: $(VENV)/ready
	$(BIN)/pytest -n 2 --dist loadgroup

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# The GPU's tests, with the real CuPy and pylibcugraph on a GPU that the CPU emulates.
emulated: $(EMULATION)/build/ready
	$(EMULATION)/run.sh $(BIN)/pytest -n 2 -m gpu

$(EMULATION)/build/ready: $(VENV)/ready $(addprefix $(EMULATION)/,build.sh cuda.cpp nvrtc.cpp blas.cpp cugraph.cpp prelude.h thrust.py)
	PYTHON=$(abspath $(BIN)/python) $(EMULATION)/build.sh

resolve: $(VENV)/ready
	PYTHON=$(BIN)/python .ci/resolve

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gpugraph needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(EMULATION)/build demo-output
