# Targets a user needs: demo, test.  The others build on the same virtual environment.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup demo test lint prove bench experiments docs lab clean
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

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy spec hardware model proofs tests benchmarks examples docs
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory docs

prove: $(STAMP)
	$(BIN)/linuxmm prove

bench: $(STAMP)
	@$(BIN)/python -m benchmarks $(if $(BENCH),--only $(BENCH)) $(if $(JSON),--json)

experiments: $(STAMP)
	@for claim in $(if $(CLAIM),$(CLAIM),H01 H02 H03); do \
	  $(BIN)/linuxmm experiment $$claim --json > docs/experiments/$$claim.new && \
	  mv docs/experiments/$$claim.new docs/experiments/$$claim.json || exit 1; done

docs: $(STAMP)
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

clean:
	rm -rf $(VENV) docs/_build docs/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis
