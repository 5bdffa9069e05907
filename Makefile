# Everything happens in .venv, which is made when first needed.
# Another Python: make PYTHON=python3.13 demo        More for pytest: make test ARGS="-k forward -x"

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif
PY := $(BIN)/python
PYTEST := $(PY) -m pytest
WORKERS ?= 2
SPREAD := -n $(WORKERS) --dist loadfile
ASV := cd asv_bench && ../$(PY) -m asv
COMMITS ?= HEAD
BENCH ?= .
PORT ?= 8000
KERNELS := mlp_jit/_math.py,mlp_jit/activations.py,mlp_jit/_straight.py,mlp_jit/dropout.py,mlp_jit/losses.py,mlp_jit/optimizers.py,mlp_jit/engines/*,mlp_jit/engines/loops/*,mlp_jit/engines/vectorized/*
COVERAGE_FLOOR := 97
QUICK := EquationRatio.*E1.*64 to 100.*float32|EpochRatio.*(2-8-2|32-32-2|64-100-10).*float32.*sgd|WidthByBatch.*64, 320|PeerRatio.*64-100-10.* 1, .*scikit-learn|PredictProbaRatio.*float32|PeakPerRow.*float32|HeldOutErrorDifference.*(iris|wine).*adam.*float32|StartRatio.*import
HISTORY := EpochRatio.*float32.*(lanes|loops.*sgd)|(ForwardRatio|PredictProbaRatio).*float32|EquationRatio.*64 to 100.*float32|FitPeakRatio.*(64-100|784-256).*float32|HeldOutErrorDifference.*digits.*adam.*float32

# Greek letters, on Windows too.
export PYTHONUTF8 := 1

.NOTPARALLEL:
.PHONY: help demo setup test test-python test-bounds test-workqueue test-faults test-cpu test-arm test-oldest test-examples test-browser \
	lint format types docs bench bench-history bench-quick bench-compare bench-guard bench-check dashboard figures clean-cache clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/installed-demo ## train on handwritten digits and time the engines
	$(PY) -m mlp_jit demo

test: .venv/installed-test ## the tests
	$(PYTEST) $(SPREAD) -m "not examples and not cpu and not browser and not faults" $(ARGS)

test-examples: .venv/installed-test ## every example
	$(PYTEST) $(SPREAD) -m examples $(ARGS)

test-browser: .venv/browser ## the study page and the dashboard in a real browser
	$(PYTEST) -m browser $(ARGS)

test-python: .venv/installed-test ## the kernels as plain Python, with branch coverage
	NUMBA_DISABLE_JIT=1 $(PY) -m coverage run -m pytest -m python $(ARGS)
	$(PY) -m coverage report --include='$(KERNELS)' --fail-under=$(COVERAGE_FLOOR)

# Bounds are not checked under prange, hence one thread, nor in code that an earlier run left in the cache.
test-bounds: .venv/installed-test ## the serial kernels with every index checked
	rm -rf .venv/bounds-cache
	NUMBA_BOUNDSCHECK=1 NUMBA_NUM_THREADS=1 NUMBA_CACHE_DIR="$(CURDIR)/.venv/bounds-cache" $(PYTEST) $(SPREAD) -m bounds $(ARGS)

test-workqueue: .venv/installed-test ## the threads' tests on the layer that macOS gets
	NUMBA_THREADING_LAYER=workqueue $(PYTEST) $(SPREAD) -m threads $(ARGS)

test-faults: .venv/installed-test ## kills, full disks, signals, damaged files; FAULTS=10 tries each ten times as often
	$(PYTEST) -n $(WORKERS) -m faults $(ARGS)

test-cpu: .venv/installed-test ## the lanes engine compiled for other CPUs
	$(PYTEST) $(SPREAD) -m cpu $(ARGS)

test-arm: .venv/installed-test ## the engines' tests on an emulated aarch64, in two hours (Debian, root)
	bash tests/aarch64.sh $(ARGS)

test-oldest: | .venv/made ## the tests on the oldest supported versions, in an environment of their own
	$(PYTHON) -m venv .venv/oldest
	PIP_CONSTRAINT=.ci/oldest.txt .venv/oldest/$(notdir $(BIN))/python -m pip install --quiet --editable ".[test]"
	.venv/oldest/$(notdir $(BIN))/python -m pytest $(SPREAD) -m "not examples and not cpu and not browser and not faults" $(ARGS)

lint: .venv/installed-dev ## style and common mistakes
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: .venv/installed-dev ## mend what lint can mend by itself
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: .venv/installed-dev ## type checks
	$(PY) -m mypy

docs: .venv/installed-dev ## the API reference, into docs/_build
	$(PY) docs/build.py

bench: .venv/installed-bench ## the benchmarks that match BENCH (all) at COMMITS (HEAD), saved under asv_bench/results
	$(ASV) machine --yes > /dev/null
	printf '%s\n' $(COMMITS) | ($(ASV) run --environment checkout HASHFILE:- --bench '$(BENCH)' --show-stderr)

bench-history: BENCH := $(HISTORY)
bench-history: bench ## of these, the ones that are recorded at every milestone

bench-quick: .venv/installed-bench ## the benchmarks that match QUICK, once each, not saved
	$(ASV) machine --yes > /dev/null
	sed 's|"results"|".asv/quick"|' asv_bench/asv.conf.json > asv_bench/.quick.json  # asv writes there all the same
	$(ASV) --config .quick.json run --python=same --quick --bench '$(QUICK)' --show-stderr

bench-compare: .venv/installed-bench ## this tree's speed beside that of the commit BASE, or of the one before the last change
	$(PY) asv_bench/compare.py $(BASE)

bench-guard: .venv/installed-bench ## a few of these comparisons; fails where something became slower
	$(PY) asv_bench/compare.py --guard $(BASE)

bench-check: .venv/installed-bench ## that the benchmarks can be imported
	$(ASV) check --python=same

setup: .venv/installed-demo .venv/installed-test .venv/browser .venv/installed-bench .venv/installed-dev ## install all of it now

dashboard: .venv/installed-bench ## the recorded results as pages, at an address of this machine
	$(ASV) publish --no-pull
	$(PY) -m http.server --bind 127.0.0.1 --directory asv_bench/.asv/html $(PORT)

figures: .venv/installed-bench ## the README's and the guide's pictures and tables, from the recorded results
	cd asv_bench && ../$(PY) figures.py

clean-cache: ## forget what Numba compiled
	find . $${NUMBA_CACHE_DIR:+"$$NUMBA_CACHE_DIR"} -name '*.nb[ic]' -exec rm -f {} +

clean: clean-cache ## remove everything that was made here
	rm -rf .venv .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache dist docs/_build asv_bench/.asv

# .venv/installed-X: the package, editable, with its extra X. Newer than pyproject.toml means nothing to do.
.venv/installed-%: pyproject.toml | .venv/made
	@echo "Installing mlp_jit[$*] into .venv: a minute or so the first time"
	$(PY) -m pip install --quiet --editable ".[$*]"
	@touch $@

# The system's Chromium or Chrome where there is one, otherwise Playwright's.
.venv/browser: .venv/installed-browser
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
		$(PY) -m playwright install chromium || \
		{ echo "No browser for the tests: apt-get install chromium, or the like"; exit 1; }
	@touch $@

.venv/made:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer, please: make PYTHON=...")'
	$(PYTHON) -m venv .venv
	@touch $@
