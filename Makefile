# `make demo` and `make test` need Python 3.11 or newer, nothing else.
PYTHON ?= $(shell command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint fmt docs bench-start clean

demo: $(VENV)/.installed
	@$(BIN)/cleancut demo $(if $(IMAGE),"$(IMAGE)") -o demo-out

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: lint test

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests docs
	$(BIN)/ruff format --check src tests docs
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix src tests docs
	$(BIN)/ruff format src tests docs

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

# Prints rembg's side and ours, of one run; makes .venv-rembg for the peer.
bench-start: $(VENV)/.installed
	$(BIN)/cleancut models pull u2netp isnet
	$(BIN)/cleancut bench start

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("cleancut needs Python 3.11 or newer; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf $(VENV) .venv-rembg demo-out .mypy_cache .ruff_cache .pytest_cache
