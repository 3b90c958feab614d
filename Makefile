# Every target sets everything up by itself, in .venv, with plain pip.
#
#   make TORCH_INDEX=https://download.pytorch.org/whl/cu130 demo    a CUDA build instead (several GB)
#   make PYTHON=python3.12 test                                     another interpreter

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check
READY := .venv/.ready

# By default: a wheel from a folder that pip is configured to search, if there is one (a machine
# without internet), else PyTorch's CPU builds. PyPI's own Linux builds bring gigabytes of CUDA.
ifeq ($(origin TORCH_INDEX), undefined)
TORCH_INDEX := https://download.pytorch.org/whl/cpu
LOCAL_TORCH := $(PIP) install --quiet --no-index --no-deps -c constraints.txt torch 2>/dev/null ||
endif

.PHONY: help demo test check clean

help:
	@echo "make demo    watch a German-English translator at work, and another being trained"
	@echo "make test    run the tests, all but the slow ones and those for a GPU"
	@echo "make check   lint, formatting and types"
	@echo "make clean   remove .venv, caches and builds; trained models in runs/ stay"
	@echo "The first of them installs everything into .venv; TORCH_INDEX=URL chooses the torch build."

demo: $(READY)
	$(BIN)/python -m training.demo

# A process for each core, with one thread each: more threads than cores wait for one another.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m "not slow and not gpu"

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch first and alone (--no-deps): no other package can choose its build. The second command
# finds it installed and adds what it needs.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(LOCAL_TORCH) $(PIP) install --no-deps --index-url $(TORCH_INDEX) -c constraints.txt torch
	$(PIP) install --quiet -c constraints.txt --editable ".[dev]"
	touch $@
