# make demo | test | slow | plugins | fuzz | reliability | coverage | mutants | batches | pictures | figures | e2e | lint | docs | clean: each sets up .venv first, from nothing but a Python.
PYTHON  ?= python3
MARKERS ?= not slow and not e2e and not gpu
EXAMPLES ?= 5000
JOBS    ?= 10000
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt
AUDITED := tests/energy tests/imaging tests/edits tests/plugins tests/modes
PLUGINS := $(addprefix -e ,$(wildcard plugins/*))

# mkdocs-material prints a notice about another tool at every build
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo test slow plugins fuzz reliability coverage mutants batches pictures figures e2e lint docs clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -E '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

demo: $(VENV)/.demo-ready  ## set up, then run every edit mode on scenes with known answers; pictures go into demo-output/
	@echo "== demo: dragonkit demo --out demo-output --overwrite"
	@$(BIN)/dragonkit demo --out demo-output --overwrite

test: lint  ## set up, then run everything but browsers: lint, types, floors, quick tests, docs (MARKERS="not gpu" for all tests)
	@echo "== tests: pytest -m '$(MARKERS)'"
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal -m "$(MARKERS)"
	@echo "== docs: mkdocs build --strict"
	@site=$$(mktemp -d) && trap 'rm -rf "$$site"' EXIT && $(BIN)/python -m mkdocs build --quiet --strict --site-dir "$$site"
	@echo "== all good"

slow: $(VENV)/.test-ready  ## set up, then run the tests that take long, but need neither a browser nor a GPU
	@echo "== tests: pytest -m 'slow and not e2e and not gpu'"
	@$(BIN)/python -m pytest -n auto --maxprocesses 2 --dist worksteal -m "slow and not e2e and not gpu"

plugins: $(VENV)/.test-ready  ## set up, then run the packages' own tests in plugins/
	@echo "== tests: pytest plugins"
	@$(BIN)/python -m pytest -m "not gpu" plugins

fuzz: $(VENV)/.test-ready  ## set up, then knock at every door with hostile files and numbers, and print what came out (EXAMPLES=20000 for longer)
	@echo "== fuzz: pytest tests/fuzz, $(EXAMPLES) examples for each target"
	@EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz

reliability: $(VENV)/.test-ready  ## set up, then try every fault of docs/reliability.md, and print how many cases were tried and failed
	@echo "== reliability: the tests that docs/reliability.md names"
	@PYTHONPATH=tests $(BIN)/python -m helpers.reliability

coverage: $(VENV)/.audit-ready  ## set up, then print which lines and branches of masks, energies, edits and hooks no test of theirs runs
	@echo "== coverage: $(AUDITED)"
	@$(BIN)/python -m coverage run -m pytest -m "not slow and not e2e and not gpu" $(AUDITED)
	@$(BIN)/python -m coverage report --skip-covered --show-missing

mutants: $(VENV)/.audit-ready  ## set up, then make about 3,900 small mistakes in the same code, and list those that no test notices: an hour or two
	@echo "== mutants: $(AUDITED)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m mutmut run > mutants.log 2>&1 || tail -20 mutants.log
	@PYTHONPATH=tests $(BIN)/python -m helpers.mutants

pictures: $(VENV)/.e2e-ready  ## set up, then draw the pictures of docs/ anew, run the notebooks into pages, write docs/commands.md; needs Chromium
	@PYTHONPATH=tests $(BIN)/python -m helpers.pictures
	@PYTHONPATH=tests $(BIN)/python -m helpers.gallery
	@PYTHONPATH=tests $(BIN)/python -m helpers.editor_pictures
	@PYTHONPATH=tests $(BIN)/python -m helpers.notebook_pages
	@PYTHONPATH=tests DRAGONKIT_PLUGINS= $(BIN)/python -m helpers.commands

figures: $(VENV)/.test-ready  ## set up, then measure the figures of docs/ anew, a day on two cores; ONLY="demo cost" does these alone
	@PYTHONPATH=tests $(BIN)/python -m helpers.figures $(ONLY)

batches: $(VENV)/.ray-ready  ## set up, then run batches by both engines, compare their pixels, and do to them what can go wrong (JOBS=100 for shorter)
	@echo "== batches: kills, a full disk, bad pictures, twins, $(JOBS) jobs"
	@PYTHONPATH=tests $(BIN)/python -m helpers.batch_faults --jobs $(JOBS)

e2e: $(VENV)/.e2e-ready  ## set up, then test whole commands, and the notebook editor in a real browser; needs Chromium
	@echo "== tests: pytest -m e2e"
	@CI=1 $(BIN)/python -m pytest -m e2e

lint: $(VENV)/.test-ready  ## style, types and import floors
	@echo "== style: ruff check"
	@$(BIN)/ruff check --output-format=concise .
	@echo "== types: mypy"
	@$(BIN)/mypy
	@echo "== floors: lint-imports"
	@$(BIN)/lint-imports --no-logo

docs: $(VENV)/.test-ready  ## build the documentation into site/
	@echo "== docs: mkdocs build --strict"
	@$(BIN)/python -m mkdocs build --quiet --strict

clean:  ## remove what was built or cached; .venv stays
	@echo "== clean"
	@rm -rf build dist site demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage mutants mutants.log
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/.made:
	@echo "== environment: $(VENV)"
	@command -v $(PYTHON) >/dev/null || { echo "dragonkit needs Python 3.11 or newer, and there is no '$(PYTHON)': name one with make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v < (3, 11) and sys.exit("dragonkit needs Python 3.11 or newer, and $(PYTHON) is %d.%d: name another with make PYTHON=/path/to/python" % v[:2])'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo-ready: pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml) | $(VENV)/.made
	@echo "== install: dragonkit[bench] and plugins/ (the first time this fetches PyTorch)"
	@$(INSTALL) -e '.[bench]' $(PLUGINS)
	@touch $@

$(VENV)/.test-ready: pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml) | $(VENV)/.made
	@echo "== install: dragonkit[dev,docs,bench] and plugins/ (the first time this fetches PyTorch)"
	@$(INSTALL) -e '.[dev,docs,bench]' $(PLUGINS)
	@touch $@

$(VENV)/.audit-ready: $(VENV)/.test-ready
	@echo "== install: dragonkit[audit]"
	@$(INSTALL) -e '.[audit]'
	@touch $@

$(VENV)/.e2e-ready: $(VENV)/.test-ready
	@echo "== install: dragonkit[e2e]"
	@$(INSTALL) -e '.[e2e]'
	@touch $@

$(VENV)/.ray-ready: $(VENV)/.test-ready
	@echo "== install: dragonkit[ray]"
	@$(INSTALL) -e '.[ray]'
	@touch $@
