# One door for people and CI. `make help` lists what there is.
DEVICE ?= cpu
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: help install test check protos
help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 12

install: $(VENV)/.installed-$(DEVICE) ## Set up the environment in .venv (DEVICE=cpu or cuda)
$(VENV)/.installed-$(DEVICE): requirements/*.txt pyproject.toml scripts/install
	scripts/install $(DEVICE) $(VENV)

test: install ## Run the whole test suite
	$(BIN)/python -m pytest $(ARGS)

check: install ## Lint, types, and the contracts: format, comments, compatibility, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" scripts/check-protos

protos: install ## Regenerate the Python of protos/
	PATH="$(abspath $(BIN)):$$PATH" scripts/protos
