# Everything here works on a fresh machine with Python 3.11+ (with its headers), a C compiler and make.
# `make help` lists the targets. A stamp per step makes repeated calls cheap.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# An editable installation; the extension modules are `make build`'s.
INSTALL := RAY_ASYNC_NO_EXTENSIONS=1 $(PIP) --no-build-isolation --editable

CORE := $(shell find ray_async/_core \( -name '*.pyx' -o -name '*.pxd' -o -name '*.h' \) 2>/dev/null)
PYTHON_DIRS := $(wildcard ray_async bench examples tests tools)
# Without compiled files each of the thousands of interpreters that tests start compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE
DEBUG_TREE := $(CURDIR)/build/debug/tree
NATIVE := $(basename $(notdir $(wildcard tests/native/test_*.c)))
NATIVE_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DRA_DEBUG -g -Wall -Wextra -Werror -Iray_async/_core/includes -pthread

# The first interpreter that is new enough and can both make an environment and compile for itself.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import ensurepip, os, sys, sysconfig; \
	sys.exit(sys.version_info < (3, 11) or not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' \
	>/dev/null 2>&1 && { echo $$python; break; }; done)

.PHONY: help venv build debug docs demo demo-cluster demo-serve demo-data demo-tune test test-debug test-sanitized native soak lint format types layers wheel bench bench-serve flat-serve rolling-serve full-serve full-data bench-data bench-tune quality-tune full-tune test-libraries clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "No Python 3.11+ with venv and C headers found; name one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" "Cython>=3.1" wheel
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(INSTALL) '.[default,test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(INSTALL) '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(INSTALL) '.[bench]'
	@touch $@

$(VENV)/.wheel: $(VENV)/.installed
	$(INSTALL) '.[wheel]'
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	$(INSTALL) '.[docs]'
	@touch $@

build/release/.built: $(VENV)/.installed setup.py $(CORE)
	@mkdir -p $(@D)
	$(PY) setup.py --quiet build_ext --inplace
	@touch $@

venv: $(VENV)/.installed ## create the virtual environment and install the package, editable

build: build/release/.built ## compile the extension modules in place

# Debug builds live in a copy of the tree, so that release and debug modules never mix.
debug: $(VENV)/.installed ## compile a debug build in a copy of the tree (build/debug/tree)
	@$(PY) tools/mirror.py $(DEBUG_TREE)
	cd $(DEBUG_TREE) && RAY_ASYNC_DEBUG=1 $(abspath $(PY)) setup.py --quiet build_ext --inplace

demo: build ## run the main example: measure the whole standard library in parallel
	$(PY) -m examples.stdlib_metrics

demo-cluster: build ## start three machines, run a job on them, lose one in the middle, and show that the result is right
	$(PY) -m examples.cluster_demo

# The model's library is large, and with GPUs' libraries 5 GB: their index has a build without them, which pip prefers. Where
# nothing can be had, the demonstration takes a tiny model instead.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
$(VENV)/.demo-serve: $(VENV)/.installed
	$(PIP) --retries 1 --extra-index-url '$(TORCH_INDEX)' 'torch>=2.4' 'transformers>=4.44' \
	|| echo "transformers cannot be installed here"
	@touch $@

demo-serve: build $(VENV)/.demo-serve ## serve a model behind HTTP, send load, plot latencies (DEMO_PLOT=latencies.png)
	$(PY) -m examples.serve_demo --plot "$(DEMO_PLOT)"

DEMO_PLOT ?= serve-latencies.png

$(VENV)/.demo-data: $(VENV)/.installed
	$(PIP) 'scikit-learn>=1.4'
	@touch $@

demo-data: build $(VENV)/.demo-data ## embed real texts and pictures with live bars and a timeline (DATA_TIMELINE=...png), then the Data program from disk and S3
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && $(PY) -m examples.data_pipelines "$$folder" "$(DATA_TIMELINE)"
	@$(PY) -m examples.data_demo

DATA_TIMELINE ?= data-timeline.png

$(VENV)/.demo-tune: $(VENV)/.installed
	$(PIP) 'scikit-learn>=1.4' 'optuna>=3.6' 'matplotlib>=3.8' 'pandas>=2.2'
	@touch $@

demo-tune: build $(VENV)/.demo-tune ## tune a network by ASHA and by TPE with a live table and plots; Ctrl-C, and again to go on (TUNE_DEMO=FOLDER)
	@$(PY) -m examples.tune_demo --folder "$(TUNE_DEMO)"

TUNE_DEMO ?= tune-demo

# Four processes share the test files: most tests wait for other processes most of the time. One after the other,
# with the debugger's prompt: make test PARALLEL= PYTEST_ARGS=--pdb
PARALLEL ?= --numprocesses 4 --dist loadfile --no-loadscope-reorder

test: build ## run all tests (some: PYTEST_ARGS=tests/core)
	$(PY) -m pytest $(PARALLEL) $(PYTEST_ARGS)

# Libraries that are too large for the suite, which skips the tests that need them, and some that exclude each other (SMAC and
# what Ax needs; Nevergrad wants an old bayesian-optimization): two environments of their own.
LIBRARIES := build/libraries
LIBRARY_TESTS ?= tests/tune/test_integrations.py tests/tune/test_library_loggers.py tests/tune/test_searcher_conformance.py \
	tests/tune/test_searchers.py tests/tune/test_population_schedulers.py tests/train/test_torch_trainer.py tests/data/test_torch.py \
	tests/data/test_frameworks.py tests/examples/test_programs.py tests/api_sync/test_collective.py
SMAC_TESTS ?= tests/tune/test_searcher_conformance.py tests/tune/test_searchers.py

$(LIBRARIES)/%/.libraries: pyproject.toml
	@$(MAKE) --no-print-directory VENV=$(@D) venv
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 --extra-index-url '$(TORCH_INDEX)' $(LIBRARIES_$*)
	@touch $@

LIBRARIES_many := 'torch>=2.4' 'lightning>=2.2' 'ax-platform>=1.0' 'hpbandster>=0.7.4' 'nevergrad>=1.0.8'
LIBRARIES_smac := 'hpbandster>=0.7.4' 'smac>=2.2'

# Several processes whose numerical libraries have as many threads each as there are cores only hold each other up.
test-libraries: build $(LIBRARIES)/many/.libraries $(LIBRARIES)/smac/.libraries ## run the tests that need large libraries: torch, Lightning, Ax, BOHB, Nevergrad, SMAC
	OMP_NUM_THREADS=1 $(LIBRARIES)/many/bin/python -m pytest --timeout 600 $(PARALLEL) $(PYTEST_ARGS) $(LIBRARY_TESTS)
	OMP_NUM_THREADS=1 $(LIBRARIES)/smac/bin/python -m pytest --timeout 600 $(PARALLEL) $(PYTEST_ARGS) $(SMAC_TESTS)

# What holds native objects: the core, and sessions from end to end.
DEBUG_TESTS ?= tests/core tests/runtime tests/behaviour tests/api_async tests/api_sync tests/output

test-debug: debug ## run the tests that hold native objects on the debug build, which counts them
	cd $(DEBUG_TREE) && PYTHONPATH=$(DEBUG_TREE) $(abspath $(PY)) -m pytest $(PARALLEL) $(PYTEST_ARGS) $(DEBUG_TESTS)

# What a sanitizer finds counts; Python's own leaks at its end do not, and crashes that tests want are Python's to handle.
ADDRESS_TREE := $(CURDIR)/build/address/tree
SANITIZED_TESTS ?= tests/core tests/runtime tests/behaviour tests/api_async tests/api_sync tests/faults/test_killed_workers.py \
	tests/faults/test_random_bytes.py

test-sanitized: $(VENV)/.installed ## compile with AddressSanitizer in a copy of the tree, and run the tests that hold native objects there
	@$(PY) tools/mirror.py $(ADDRESS_TREE)
	cd $(ADDRESS_TREE) && RAY_ASYNC_SANITIZE=address $(abspath $(PY)) setup.py --quiet build_ext --inplace
	cd $(ADDRESS_TREE) && PYTHONPATH=$(ADDRESS_TREE) LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) PYTHONMALLOC=malloc \
		ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0 \
		UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(abspath $(PY)) -m pytest $(PARALLEL) $(PYTEST_ARGS) $(SANITIZED_TESTS)

# A test that hangs fails, and says which one it was.
BOUNDED := timeout --kill-after=5 300

native: $(NATIVE:%=native-%) ## run the C tests of the core, plain and under both sanitizers

native-%: tests/native/%.c $(wildcard tests/native/*.h) $(filter %.h,$(CORE))
	@mkdir -p build/native
	$(CC) $(NATIVE_CFLAGS) -O2 $< -o build/native/$*
	$(BOUNDED) build/native/$*
	$(CC) $(NATIVE_CFLAGS) -O1 -fsanitize=thread $< -o build/native/$*-thread
	TSAN_OPTIONS="halt_on_error=1 exitcode=66" $(BOUNDED) build/native/$*-thread
	$(CC) $(NATIVE_CFLAGS) -O1 -fsanitize=address,undefined -fno-sanitize-recover=all $< -o build/native/$*-address
	$(BOUNDED) build/native/$*-address

SOAK_MINUTES ?= 10

soak: build ## mixed load with killed and stopped workers, and many of everything (SOAK_MINUTES=10, SOAK_ARGS="--scale 0.1 groups")
	$(PY) -m tests.soak --minutes $(SOAK_MINUTES) $(SOAK_ARGS)

# The tests whose sizes differ: rounds from zero replicas, starts and leavers under load, deploys, tries.
FULL_SERVE ?= $(shell grep -l 'serve.sizes import' tests/serve/test_*.py)

full-serve: build ## run tests of Serve as large as they are meant (FULL_SERVE=tests/serve/test_scaling.py)
	SERVE_SIZES=full $(PY) -m pytest --timeout 1800 $(PYTEST_ARGS) $(FULL_SERVE)

# The tests of Data whose sizes differ: seeds of killed workers, examples of properties, rows, epochs.
FULL_DATA ?= tests/data/test_exchanges.py tests/data/test_properties.py tests/data/test_flow.py tests/data/test_out_of_core.py

full-data: build ## run tests of Data as large as they are meant (FULL_DATA=tests/data/test_exchanges.py)
	DATA_SIZES=full $(PY) -m pytest --timeout 1800 $(PYTEST_ARGS) $(FULL_DATA)

lint: $(VENV)/.dev ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(VENV)/.dev ## let ruff mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(VENV)/bin/mypy --strict $(PYTHON_DIRS)

layers: $(VENV)/.installed ## the rules of the source tree: layers, exports, tracked files
	$(PY) -m pytest tests/test_layers.py tests/test_source.py

docs: $(VENV)/.docs ## build the documentation site, strictly, into build/site, and check its links
	PATH="$(abspath $(VENV))/bin:$$PATH" $(PY) tools/site_pages.py

wheel: $(VENV)/.wheel ## build a wheel for an old glibc, audit it, and try it in a clean environment
	$(PY) tools/wheel.py

bench: build $(VENV)/.bench ## run the benchmarks (BENCH_ARGS=--quick for a smoke run)
	$(PY) -m bench $(BENCH_ARGS)

# wrk is no Python package. Granian and LitServe are not for every platform: where they cannot be had, they are left out.
$(VENV)/.bench-serve: $(VENV)/.bench
	@command -v wrk >/dev/null || apt-get install --yes wrk || sudo apt-get install --yes wrk || \
		echo "wrk cannot be installed here: see docs/benchmarks.md" >&2
	$(PIP) 'granian>=2' 'litserve>=0.2' || echo "Granian and LitServe cannot be installed here" >&2
	@touch $@

bench-serve: build $(VENV)/.bench-serve ## run the benchmarks of Serve (BENCH_ARGS="--quick --only echo"); needs wrk
	$(PY) -m bench.serve $(BENCH_ARGS)

# Daft and we want other versions of pyarrow, so the peers have an environment of their own.
PEERS := build/peers-data
$(PEERS)/.installed: $(VENV)/.created
	$(PY) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check numpy pandas polars pyarrow duckdb 'dask[dataframe]' distributed
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check daft || echo "Daft cannot be installed here" >&2
	@touch $@

$(VENV)/.bench-data: $(VENV)/.bench
	$(PIP) tpchgen-cli
	$(PIP) 'torch>=2.4' || echo "torch cannot be installed here: the rows with it say so" >&2
	@touch $@

bench-data: build $(VENV)/.bench-data $(PEERS)/.installed ## run the benchmarks of Data (BENCH_ARGS="--quick --only tpch", --large: 8 GB)
	$(PY) -m bench.data --peer-python $(PEERS)/bin/python $(BENCH_ARGS)

flat-serve: build $(VENV)/.bench-serve ## ten minutes of full load on Serve with disturbances: what grows (SOAK_MINUTES=10)
	$(PY) -m bench.serve.flat --minutes $(SOAK_MINUTES)

rolling-serve: build $(VENV)/.bench-serve ## updates and scaling down of Serve under full load: 0 of ROLLING_REQUESTS=100000 may fail
	$(PY) -m bench.serve.rolling --requests $(ROLLING_REQUESTS)

ROLLING_REQUESTS ?= 100000

bench-tune: build $(VENV)/.bench ## run the benchmarks of Tune (BENCH_ARGS="--quick --only trials --ray-python PATH")
	$(PY) -m bench.tune $(BENCH_ARGS)

quality-tune: build $(VENV)/.bench $(VENV)/.demo-tune ## what Tune's schedulers find within a budget, beside Optuna's pruners (BENCH_ARGS="--seeds 3 --plots docs")
	@$(PIP) 'torch>=2.4' || echo "torch cannot be installed here: --only branin,hartmann6,pbt" >&2
	$(PY) -m bench.tune.quality $(BENCH_ARGS)

full-tune: build ## kill the driver of a search at hundreds of points, and compare each restored search with a whole one
	TUNE_KILLS=300 $(PY) -m pytest --timeout 3000 $(PYTEST_ARGS) tests/tune/test_driver_kills.py

clean: ## remove what builds and checks leave
	rm -rf build dist .cache *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov .coverage .coverage.*
	find ray_async -name '*.so' -delete
	find $(PYTHON_DIRS) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## the same, and the virtual environment
	rm -rf $(VENV)
