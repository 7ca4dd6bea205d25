# Targets a user needs: demo, test.  The others build on the same virtual environment.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test test-bounds lint prove bench experiments docs lab lab-evidence lab-test lab-tools lab-kernel fault-evidence clean
setup: $(STAMP)

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing linuxmm into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[dev,docs]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

test-bounds: $(STAMP)
	NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(abspath $(VENV))/bounds \
	  $(BIN)/python -m pytest -n 2 --dist worksteal tests/fast tests/oracle/formats $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy spec hardware model proofs tests benchmarks examples docs/_ext docs/conf.py
	$(BIN)/lint-imports
	$(if $(WITHOUT_DOCS),,$(MAKE) --no-print-directory docs)

prove: $(STAMP)
	$(BIN)/linuxmm prove

bench: $(STAMP)
	@$(BIN)/python -m pip install --quiet --editable '.[peers]' || echo "measuring without libCacheSim" >&2
	@$(BIN)/python -m benchmarks $(if $(BENCH),--only $(BENCH)) $(if $(JSON),--json)

experiments: $(STAMP)
	@for claim in $(or $(CLAIM),$(basename $(notdir $(sort $(wildcard docs/experiments/*.json))))); do \
	  $(BIN)/linuxmm experiment $$claim --json > docs/experiments/$$claim.new && \
	  mv docs/experiments/$$claim.new docs/experiments/$$claim.json || exit 1; done

# Real kernels: LAB_KERNELS="6.1 6.12", LAB_ARGS="--area alloc --quick".  Needs the packages of lab-tools.
LAB_KERNELS ?= 6.1 6.12
lab: $(STAMP)
	@$(BIN)/linuxmm lab fetch $(LAB_KERNELS)
	@for kernel in $(LAB_KERNELS); do $(BIN)/linuxmm lab check --kernel $$kernel $(LAB_ARGS) || exit $$?; done

lab-evidence: $(STAMP)
	@for kernel in $(LAB_KERNELS); do \
	  $(BIN)/linuxmm lab check --kernel $$kernel --json $(LAB_ARGS) > docs/evidence/lab-$$kernel.new; \
	  mv docs/evidence/lab-$$kernel.new docs/evidence/lab-$$kernel.json; done

# A small kernel with what distributions leave out: SOURCE=unpacked kernel tree, OUT=folder, CONFIGS=more fragments.
lab-kernel:
	hardware/linuxmm/lab/own_kernel/kernel.sh $(SOURCE) $(OUT) $(abspath $(CONFIGS))

FAULT_CAPTURES ?= inject-6.12 cma-6.12 hotplug-6.12 pressure-6.12 hugetlb-6.1 compaction-6.12 numa-6.1 highmem-6.1-686-pae
OBJECT_CAPTURES ?= objects-slub-6.1 vm-space-6.12 objects-slub-debug-6.12
AREA_CAPTURES ?= reclaim-lru-6.1 reclaim-mglru-6.1 reclaim-mglru-6.12 memcg-v1-6.12 memcg-v2-6.12 vm-space-6.1 large-vmalloc-6.12 \
  debug-kasan-6.12 debug-leak-6.12 debug-ptdump-6.12 debug-slub-6.1 objects-slab-debug-6.1 \
  pmem-dax-6.12
fault-evidence: $(STAMP)
	$(BIN)/python -m linuxmm.oracle.faults_table docs/evidence/faults.json \
	  $(FAULT_CAPTURES:%=tests/real/alloc-%) $(OBJECT_CAPTURES:%=tests/real/areas/%) \
	  $(AREA_CAPTURES:%=tests/real/areas/%)

lab-test: $(STAMP)
	$(BIN)/python -m pytest -m lab tests/lab -p no:cacheprovider

LAB_PACKAGES := qemu-system-x86 busybox-static gcc binutils
lab-tools:
	@command -v apt-get > /dev/null || { echo "no apt-get here: install what brings $(LAB_PACKAGES)"; exit 1; }
	@test "$$(id -u)" = 0 || { echo "as root: apt-get install $(LAB_PACKAGES)"; exit 1; }
	apt-get -qq update
	apt-get -qq install --yes --no-install-recommends $(LAB_PACKAGES)

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build docs/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis
