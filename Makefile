# `make run` and `make test` set up what they need in .venv; CONTRIBUTING.md explains every target.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/base.installed
DEV := $(VENV)/dev.installed
BENCH := .cache/bench/installed
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
# Four share the whole run, since tests wait more than they compute; a whole file goes to one of them.
WORKERS := --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: run restart test bench lint types imports format check requirements screenshots clean tools
.NOTPARALLEL:
.DELETE_ON_ERROR:

run: $(BASE)
	@$(BIN)/python manage.py serve

restart: $(BASE)
	@$(BIN)/python manage.py restart

test: tools $(DEV)
	$(BIN)/python -m pytest $(or $(ARGS),$(WORKERS))

bench: $(BASE) $(BENCH)
	@tests/bench/prepare >&2
	@$(BIN)/python -m tests.bench --x509-python .cache/bench/venv/bin/python $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 --check {} +

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports --no-logo

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} +

check: lint types imports

requirements: $(DEV)
	CUSTOM_COMPILE_COMMAND='make requirements' $(COMPILE) $(ARGS) -o requirements/base.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make requirements' $(COMPILE) $(ARGS) --extra dev -c requirements/base.txt \
		-o requirements/dev.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make requirements' $(COMPILE) $(ARGS) -c requirements/base.txt \
		-o requirements/bench.txt tests/bench/requirements.in

screenshots: tools $(DEV)
	$(BIN)/python -m tests.screenshots

clean:
	rm -rf $(VENV) staticfiles .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

tools:
	@tests/prepare

# The environment is made anew when a pinned requirement changes, so nothing stale stays in it.
$(BASE): requirements/base.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed.")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/base.txt
	@touch $@

$(DEV): requirements/dev.txt $(BASE)
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# What `make bench` compares certificates with; nothing else of the project needs it.
$(BENCH): requirements/bench.txt
	@mkdir -p $(@D)
	$(PYTHON) -m venv --clear .cache/bench/venv
	.cache/bench/venv/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@
