# make demo   segment the bundled images, write demo/, open napari where there is a display
# make test   all tests but the slow ones      make slow   the slow ones
# make lint   ruff and mypy     make check  lint, the map in CONTRIBUTING.md and the quick tests
# make stress   hostile files, kills, full disks, pairs of processes: docs/results/reliability.md
#               in slices: make stress STRESS="--from 0 --count 500", see tests/hostile/stress.py
# make number-format   the tests that depend on bfloat16, on a CPU that hides it
# Each builds .venv on first use (minutes), and again when pyproject.toml or constraints.txt
# change. Another interpreter: make PYTHON=python3.12 ...

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
STAMP  := $(VENV)/.installed

.PHONY: demo test number-format slow stress lint check install
.DELETE_ON_ERROR:

demo: $(STAMP)
	@bash scripts/system_packages.sh window
	$(BIN)/napari-unet demo

test: $(STAMP)
	@bash scripts/system_packages.sh window display
	@bash scripts/with_display.sh $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

number-format: $(STAMP)
	@bash scripts/system_packages.sh window display
	@ONEDNN_MAX_CPU_ISA=AVX2 bash scripts/with_display.sh $(BIN)/python -m pytest -m "number_format and not slow"

slow: $(STAMP)
	@bash scripts/system_packages.sh window display
	@bash scripts/with_display.sh $(BIN)/python -m pytest -m slow

stress: $(STAMP)
	PYTHONPATH=src $(BIN)/python tests/hostile/stress.py $(STRESS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Without windows, without processes of their own, without whole trainings, command runs and studies.
TRAININGS := checkpoint more_labels partial_labels train
check: lint
	$(BIN)/python scripts/draw_house.py --check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal \
		-m 'not slow and not process' tests --ignore=tests/widgets --ignore=tests/cli --ignore=tests/hostile \
		--ignore=tests/studies --ignore=tests/test_readme.py $(TRAININGS:%=--ignore=tests/training/test_%.py)

install: $(STAMP)

# torch comes first: where the pinned version is at hand as a CPU build, that is the one taken.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --upgrade pip
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --constraint constraints.txt --build-constraint constraints.txt \
		--editable '.[all,cluster]' --group dev
	touch $@
