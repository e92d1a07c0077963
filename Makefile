# Two commands: `make demo` and `make test`. Each sets everything up first, in .venv beside this file.
# PYTHON=python3.12 chooses the interpreter; TORCH=<requirement or wheel> another torch than the default.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
TORCH ?= torch>=2.11,<2.14
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help setup demo results paper notebooks docs wheel test programs browser slow lint clean

help:
	@echo "make setup  .venv with everything, which the others make, too; then: source .venv/bin/activate"
	@echo "make demo   the main job: three models, their measures, one page (about 7 minutes on two cores)"
	@echo "make results  results/README.md and its figures from the committed runs"
	@echo "make paper  every study at the published scale, for a GPU; rerun it to resume (docs/paper.md)"
	@echo "make notebooks  runs/notebooks/*.ipynb, opened in Jupyter Lab where it is installed (docs/notebooks.md)"
	@echo "make docs   docs/architecture.md, docs/measurements.md, the picture of the README, and API pages in docs/api"
	@echo "make wheel  dist/mothello-VERSION.whl: the package with its configs and commands"
	@echo "make test   ruff, mypy, pytest"
	@echo "make browser  the explorer's page under node and in a headless browser, which are installed where apt may"
	@echo "make slow   the long proofs"
	@echo "make clean  remove the virtual environment and caches; runs/ stays"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11, 3.12 or 3.13 was not found; use make PYTHON=/path/to/python"; exit 2; }
	@echo "setting up .venv with $(PYTHON) (once; torch is the large part)"
	@if $(PYTHON) scripts/has_torch.py 2>/dev/null; then $(PYTHON) -m venv --system-site-packages .venv; \
	else $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet "$(TORCH)"; fi
	@$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $(STAMP)

demo: setup
	@$(BIN)/python scripts/study.py +study=demo

results: setup
	@$(BIN)/python scripts/results.py page=all

paper: setup
	@failed=0; study() { \
		$(BIN)/python scripts/study.py scale=paper report= "$$@"; code=$$?; \
		test $$code -ne 2 || exit 2; test $$code -eq 0 || failed=$$code; \
	}; \
	study +study=table1 'seeds=[0]' 'parts=[naive/0,anchor_?/0,unified/0]'; \
	study +study=many_languages 'seeds=[0]' 'parts=[naive_20/0]'; \
	study +study=finetune 'seeds=[0]' 'parts=[prefix_*]'; \
	study +study=mirror_anchors; \
	study +study=anchor_placement; \
	study +study=probes; \
	study +study=table1; \
	study +study=finetune; \
	study +study=many_languages; \
	study +study=emergence; \
	$(BIN)/python scripts/results.py 'gather=[runs/paper]' && exit $$failed

notebooks: setup
	@mkdir -p runs/notebooks
	@for book in notebooks/*.py; do \
		$(BIN)/jupytext --quiet --to ipynb --output runs/notebooks/$$(basename $$book .py).ipynb $$book || exit 1; done
	@if test -x $(BIN)/jupyter-lab; then $(BIN)/jupyter-lab runs/notebooks; \
	else echo "runs/notebooks/*.ipynb are ready; $(BIN)/pip install jupyterlab, then make notebooks opens them"; fi

docs: setup
	@$(BIN)/python docs/architecture.py && $(BIN)/python docs/idea.py && $(BIN)/python docs/measurements.py
	@$(BIN)/python docs/api.py && echo "docs/api/index.html"

wheel: setup
	@rm -rf dist && $(BIN)/python -m hatchling build -t wheel

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

test: lint
	@GOMP_SPINCOUNT=1000 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# Node and Chromium, for the tests of the explorer's page: by apt where it may, within a minute of download.
programs:
	@missing=; command -v node >/dev/null || missing="nodejs"; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	test -z "$$missing" && exit 0; \
	if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
		echo "installing $$missing"; export DEBIAN_FRONTEND=noninteractive; \
		apt="apt-get -qq -y --no-install-recommends install"; \
		{ timeout 60 sh -c "apt-get -qq update; $$apt --download-only $$missing" && $$apt $$missing; } >/dev/null 2>&1 \
		|| echo "$$missing: apt has it not within a minute; the tests of the page are skipped"; \
	else echo "missing: $$missing; install it, or run make browser as root; else the tests of the page are skipped"; fi

browser: setup programs
	@$(BIN)/python -m pytest -rs tests/explorer

slow: setup
	@$(BIN)/python -m pip install --quiet --editable ".[oracle]"
	@$(BIN)/python -m pytest -m slow

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
