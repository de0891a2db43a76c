# make demo   environment + a small real corpus under out/demo
# make test   environment + linters, import floors, types and tests
# make lint   the checks without the tests
# make bench  the benchmarks whose figures the README quotes
# make train-demo  a corpus of 720 people, its codec and encoder, a tiny transformer, and what it does (50 minutes)

PYTHON ?= python3.11
OUT ?= out/demo
TRAIN_OUT ?= out/train-demo
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: env demo test lint bench train-demo clean

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found: install Python 3.11 (apt-get install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make environments: apt-get install python3.11-venv"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $(READY)

demo: env
	$(BIN)/factorportrait generate demo --out $(OUT)

train-demo: env
	$(BIN)/factorportrait generate training/demo/corpus.yaml --out $(TRAIN_OUT)/faces
	$(BIN)/factorportrait train codec $(TRAIN_OUT)/faces --out $(TRAIN_OUT)/codec
	$(BIN)/factorportrait train expression $(TRAIN_OUT)/faces --out $(TRAIN_OUT)/expression --steps 1500 --report
	$(BIN)/factorportrait cache-latents $(TRAIN_OUT)/faces --out $(TRAIN_OUT)/latents --split train \
	    --codec $(TRAIN_OUT)/codec --expression $(TRAIN_OUT)/expression
	$(BIN)/factorportrait train fit --config training/configs/tiny.yaml --out $(TRAIN_OUT)/run \
	    $(if $(wildcard $(TRAIN_OUT)/run/checkpoints/last.ckpt),--resume $(TRAIN_OUT)/run/checkpoints/last.ckpt) \
	    $(if $(shell command -v g++),--model.compile true) \
	    --data.corpus $(TRAIN_OUT)/faces --data.latents $(TRAIN_OUT)/latents \
	    --model.codec $(TRAIN_OUT)/codec --model.expression $(TRAIN_OUT)/expression
	$(BIN)/factorportrait train report $(TRAIN_OUT)/faces --model $(TRAIN_OUT)/run/model --out $(TRAIN_OUT)/report

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

bench: env
	$(BIN)/python -m benchmarks.render
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.driver
	$(BIN)/python -m benchmarks.train_step

clean:
	rm -rf $(VENV) out
