# One door for people and CI. `make` lists what there is.
DEVICE ?= cpu
VENV ?= $(if $(filter cuda,$(DEVICE)),.venv-cuda,.venv)
MODELS ?= models_micro
VECTORS ?= tests/golden/lm/vectors.json
TOKENIZER ?= tests/golden/lm/tokenizer
WALKS ?= 10000
REQUESTS ?= 10000
CALLS ?= 2000
MINUTES ?= 30
FILES ?= 20000
PIP_AUDIT = 2.10.1
# That of torch 2.11, with which the GPU's figures were measured.
TRITON = 3.6.0
GOLDEN ?= tests/golden/dit
BIN = $(VENV)/bin

.PHONY: help install demo up down test clients vectors walks properties golden kernels soak load faults fuzz audit check protos
help: ## List the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 12

install: $(VENV)/.installed-$(DEVICE) ## Set up the environment in .venv, or in .venv-cuda for DEVICE=cuda
$(VENV)/.installed-$(DEVICE): requirements/*.txt pyproject.toml scripts/install
	scripts/install $(DEVICE) $(VENV)

models/tiny: | install
	$(BIN)/acestep-serve models build-tiny $@

demo: install ## One song from text to out/, with a picture; services up and down
	BIN=$(BIN) DEVICE=$(DEVICE) scripts/demo

up: install $(filter models/tiny,$(MODELS)) ## Start the three services and leave them running (MODELS=folder, DEVICE=cpu or cuda)
	$(BIN)/acestep-serve up --models $(MODELS) --device $(DEVICE) --detach

down: ## Stop what `make up` started
	$(BIN)/acestep-serve down

test: install ## Run the whole test suite, in two processes; with ARGS (tests/dit -k cover) what they choose, in one
	BIN=$(BIN) scripts/test $(ARGS)

clients: install ## Build the clients in other languages whose tools are here, and try them with real services
	$(BIN)/python -m pytest -v tests/clients tests/system/test_clients.py

vectors: install ## Replay recorded behaviour of the LM, alone and through the gateway (VECTORS=file TOKENIZER=folder)
	$(BIN)/python -m tests.lm.replay $(VECTORS) $(TOKENIZER)
	$(BIN)/python -m tests.client.replay $(VECTORS) $(TOKENIZER)

walks: install ## Random walks through the LM's grammar (WALKS=10000 in each mode)
	$(BIN)/python -m tests.lm.walks $(WALKS)

properties: install ## Requests at random against the gateway (REQUESTS=10000)
	$(BIN)/python -m tests.gateway.properties $(REQUESTS)

soak: install ## The LM under load with too little memory: tokens, leaks, memory (MINUTES=30)
	$(BIN)/python -m bench.lm_soak --minutes $(MINUTES)

load: install models/tiny ## Load for the tiny system, or for one at an address (ARGS='--address host:port --rate 0.5')
	$(BIN)/python -m bench.load $(ARGS)

faults: install models/tiny ## Killed and paused processes, cut networks, full disks ...; the table of docs/reliability.md (half an hour)
	$(BIN)/python -m bench.faults --write docs/reliability.md $(ARGS)
	$(BIN)/python -m bench.faults --write docs/reliability.md --models models/tiny

golden: install ## Replay recorded cases of the reference, a line for each (GOLDEN=directory)
	$(BIN)/python -m bench.golden $(GOLDEN)

# In a folder of its own, which nothing else sees: vLLM behaves differently where it finds Triton.
$(VENV)/triton: | install
	$(BIN)/python -m pip install --quiet --no-deps --target $@ triton==$(TRITON)

kernels: $(VENV)/triton ## What the kernels of the diffusion compute on a GPU, in Triton's interpreter, without one
	TRITON_INTERPRET=1 PYTHONPATH=$(VENV)/triton $(BIN)/python -m pytest -q tests/dit/test_kernels.py

fuzz: install ## Broken requests and audio files at every method (CALLS=2000 FILES=20000)
	$(BIN)/python -m tests.fuzz $(CALLS) $(FILES)

audit: install ## Known vulnerabilities of the pinned packages; needs the network
	$(BIN)/python -m pip install --quiet pip-audit==$(PIP_AUDIT)
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r requirements/cpu.txt -r requirements/dev.txt

check: install ## Lint, types, and the contracts: format, comments, compatibility, generated code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(abspath $(BIN)):$$PATH" scripts/check-protos

protos: install ## Regenerate the Python of protos/
	PATH="$(abspath $(BIN)):$$PATH" scripts/protos
