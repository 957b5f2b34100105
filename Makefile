# The front door: `make experiment` runs the main job, `make test` runs every check.
# Each target makes the virtual environment when it is missing.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/digits
PROCESSES ?= 2
BIN = $(VENV)/bin

.PHONY: experiment test lint clean

experiment: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m cilkit \
		compare --preset digits --seeds 0 1 2 --out $(OUT) --resume

test: lint
	$(BIN)/pytest

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
