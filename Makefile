# The front door: `make experiment` runs the main job, `make test` runs every check.
# Each target makes .venv when it is missing.

PYTHON ?= python3
BIN = .venv/bin
OUT ?= runs/digits

.PHONY: experiment test clean

experiment: .venv/ready
	$(BIN)/torchrun --standalone --nproc-per-node 2 -m cilkit compare --preset digits --seeds 0 1 2 --out $(OUT) --resume

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
