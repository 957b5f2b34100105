# The front door: `make book` builds the book, its experiments executed; `make test` runs every check.
# Each target makes the virtual environment when it is missing.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/digits
PROCESSES ?= 2
BIN = $(VENV)/bin
PAGE = _build/html/index.html

.PHONY: book serve notebooks experiment test lint clean

book: $(VENV)/ready
	rm -rf _build
	$(BIN)/jupyter-book build . -n -W --keep-going
	@echo "Open $(PAGE) in a browser."

serve: $(PAGE)
	$(BIN)/python -m http.server --directory _build/html 8000

$(PAGE):
	$(MAKE) book

# The notebooks' stored outputs, after their code or the package has changed.
notebooks: $(VENV)/ready
	$(BIN)/python book/refresh.py
	$(BIN)/python book/chinese.py

experiment: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m cilkit \
		compare --preset digits --seeds 0 1 2 --out $(OUT) --resume

test: lint book
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
	rm -rf $(VENV) _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
