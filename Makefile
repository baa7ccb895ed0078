# Two commands: `make demo` and `make test`. They need python3 (3.11 or later) and the package index, nothing else.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CODE := db forecast ingest ops publish

.PHONY: demo test lint format types imports lock clean

demo: $(INSTALLED)
	$(BIN)/sigmacast demo

# Files of tests are dealt out to two processes; the longest of them take minutes.
test: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(INSTALLED)
	$(BIN)/pyright

imports: $(INSTALLED)
	$(BIN)/lint-imports

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sigmacast needs Python 3.11 or later, got $$($(PYTHON) --version); try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo "$(PYTHON) cannot create environments; install its venv module (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Resolves again with the pins that still fit; LOCK_FLAGS=--upgrade takes the newest of everything.
lock: $(INSTALLED)
	$(BIN)/python -m pip install --quiet uv
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet --universal \
		--python-version 3.11 --extra demo --extra test --generate-hashes --no-annotate --no-emit-index-url \
		$(LOCK_FLAGS) --output-file requirements.lock
	mkdir -p build
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --extra gpu --generate-hashes \
		--no-annotate --no-header --no-emit-index-url --constraint requirements.lock --output-file build/gpu.lock
	{ echo "# What the extra gpu adds to requirements.lock; made by \`make lock\`."; \
		awk 'NR == FNR { if (/^[^ #]/) known[$$1]; next } /^[^ ]/ { new = !($$1 in known) } new' \
		requirements.lock build/gpu.lock; } > ops/deploy/requirements-cuda.lock

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
