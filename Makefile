# The front door: `make book` builds the book, its experiments executed; `make check` is quick, after
# each change; `make test` is every check that CI runs.
# Each target makes the virtual environment when it is missing.

PYTHON ?= python3
VENV ?= .venv
REQUIREMENTS ?= requirements.txt
OUT ?= runs/digits
PROCESSES ?= 2
SEEDS ?= 30 31 32
WORKERS ?= 2
BIN = $(VENV)/bin
PAGE = _build/html/index.html
# What pip says of an old Python is about other packages.
TOO_OLD = 'cilkit needs Python 3.11 or newer, this is %d.%d; try: make PYTHON=python3.12' \
	% sys.version_info[:2]

.PHONY: book pdf serve notebooks claims experiment bench check test weekly hosts lint links dist clean

book: $(VENV)/ready
	rm -rf _build
	$(BIN)/jupyter-book build . -n -W --keep-going
	$(BIN)/python book/tools/pdf.py
	@echo "Open $(PAGE) in a browser."

# The pages in one file, to be read on paper. It takes Chromium.
pdf: $(PAGE)
	$(BIN)/python book/tools/pdf.py

serve: $(PAGE)
	$(BIN)/python -m http.server --directory _build/html 8000

$(PAGE):
	$(MAKE) book

# The notebooks' stored outputs, after their code or the package has changed.
notebooks: $(VENV)/ready
	$(BIN)/python book/tools/refresh.py
	$(BIN)/python book/tools/chinese.py

# On how many of twenty seeds does each claim of the chapters hold? Kept in cilkit/results.
claims: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/python book/tools/claims.py

experiment: $(VENV)/ready
	CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 $(BIN)/torchrun --standalone --nproc-per-node $(PROCESSES) -m cilkit \
		compare --preset digits --seeds $(SEEDS) --out $(OUT) --resume

# How fast it is: a table of ratios, of NAMES or of all; tests/benchmarks/README.md explains it.
bench: $(VENV)/ready
	PYTHONPATH=tests $(BIN)/python -m benchmarks --out runs/benchmarks $(NAMES)

# Style, types, and the tests that are not marked as slow: about three minutes.
check: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadscope -m "not slow"

test: lint book
	$(BIN)/pytest -n $(WORKERS) --dist loadscope

# What takes long and breaks seldom: all notebooks where nothing of ours is, runs killed and damaged.
weekly: $(VENV)/ready
	$(BIN)/pytest -m weekly
	$(BIN)/python tests/kill.py --times 50
	$(BIN)/python tests/damage.py --times 1000

# Two machines, played by two network namespaces, and a cut of the line between them. As root.
hosts: $(VENV)/ready
	BIN=$(abspath $(BIN)) tests/two_hosts.sh

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Are the addresses still there that the book leads to? Asks each of them.
links: $(VENV)/ready
	$(BIN)/jupyter-book build . --builder linkcheck --path-output _build/links

# What a release is made of; it is tried where nothing else of ours is.
dist:
	rm -rf dist build
	$(PYTHON) -m venv build/tools
	build/tools/bin/pip install --quiet --requirement .ci/release.txt
	build/tools/bin/python -m build
	build/tools/bin/twine check --strict dist/*
	$(PYTHON) -m venv build/alone
	build/alone/bin/pip install --quiet dist/*.whl
	cd build && alone/bin/cilkit run --preset digits --epochs 1 --out try
	cd build && alone/bin/python -c "from cilkit.teaching import stored; print(*stored('digits'))"

$(VENV)/ready: $(REQUIREMENTS) pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit($(TOO_OLD) if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement $(REQUIREMENTS)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) _build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
