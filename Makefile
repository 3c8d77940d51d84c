# Every target sets up what it needs; a second call costs nothing.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCHMARKS := ranking search scheduling scoring zoo rewriting mapping golden overhead compression finalists fleet tracing

.PHONY: quickstart test test-slow test-core lint types docs bench $(addprefix bench-,$(BENCHMARKS)) fit-edge-tpu clean

quickstart: $(READY)  ## a real search, from measuring this machine to the Pareto front
	$(BIN)/nas-proxy run quickstart

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

test-core: $(READY)  ## the core alone on later Pythons, where NNI is not
	bash .ci/test-core 3.12 3.13 3.14

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry nas_proxy benchmarks

types: $(READY)
	$(BIN)/pyright

docs: $(READY)  ## the documentation as a site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(addprefix bench-,$(BENCHMARKS))  ## every figure of benchmarks/README.md

bench-%: $(READY)
	$(BIN)/python -m benchmarks.$*

fit-edge-tpu: $(READY)  ## the simulated Edge TPU from published latencies, into devices/edge-tpu*.yaml
	$(BIN)/python -m benchmarks.fit_edge_tpu --write

$(READY): pyproject.toml constraints.txt
	command -v $(PYTHON) >/dev/null || { echo "nas-proxy needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[onnx,timm,rl,compress,ray,optuna,dev]"
	$(BIN)/nas-proxy doctor --fix
	touch $@

clean:
	rm -rf $(VENV) runs dist build site
