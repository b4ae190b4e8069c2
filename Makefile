# The one list of developer commands. `make help` shows it; `.ci/run` calls `make ci`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEPS := $(VENV)/.deps-installed
NATIVE := $(VENV)/.native-built
RUST_SOURCES := Cargo.toml $(wildcard Cargo.lock) $(shell find rust -name '*.rs' -o -name Cargo.toml)
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(DEPS): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet 'maturin>=1.16,<2' --group lint --group test --group bench --group interop --group demo --group arrow
	touch $@

$(NATIVE): $(DEPS) $(RUST_SOURCES) pyproject.toml
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --quiet
	touch $@

.PHONY: setup
setup: $(NATIVE) ## Make .venv with the release build and everything the other targets need

.PHONY: build
build: $(NATIVE) ## Release build of the extension into .venv

.PHONY: dev
dev: $(DEPS) ## Debug build of the extension into .venv (quick to build, slow to run)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop
	rm -f $(NATIVE)

.PHONY: demo
demo: $(NATIVE) ## Real flights through a real broker, with a kill -9 in between
	$(BIN)/python examples/flights_demo.py

.PHONY: test
test: $(NATIVE) ## Every test but those that drive other people's clients
	$(PYTEST) -q -m 'not interop and not peer and not slow'

.PHONY: test-rust
test-rust: ## Unit and behaviour tests of the Rust core
	cargo test --quiet

.PHONY: interop
interop: $(NATIVE) ## confluent-kafka, kafka-python, aiokafka and kcat against the broker
	$(PYTEST) -q -m 'interop and not peer and not slow'

.PHONY: peers
peers: $(NATIVE) ## Our client, and what others' clients see, against Apache Kafka; its tools against the broker (needs java and mvn)
	tests/support/get_kafka.sh
	$(PYTEST) -q -m 'peer'

.PHONY: slow
slow: $(NATIVE) ## The long runs: crash rounds, fuzzing with many seeds, new examples for hypothesis
	$(PYTEST) -q -m 'slow and not peer'
	HYPOTHESIS_PROFILE=search $(PYTEST) -q -m 'hypothesis and not peer' --timeout 500

.PHONY: bench
bench: $(NATIVE) ## Native against pure Python: encode, decode, CRC, codecs, append, index; starting and restoring a broker
	$(PYTEST) -q benches --benchmark-only --benchmark-columns=median,ops,rounds --benchmark-group-by=group

.PHONY: versus
versus: $(NATIVE) ## Apache Kafka and odradek side by side (needs java and mvn); VERSUS="--quick --only CASES --rounds N"
	tests/support/get_kafka.sh
	$(BIN)/python -m benches.versus $(VERSUS)
	$(BIN)/python -m benches.versus.publish

.PHONY: versus-series
versus-series: $(NATIVE) ## How cost grows, both brokers, into series.jsonl; SERIES="--quick --only SERIES --rounds N"
	tests/support/get_kafka.sh
	$(BIN)/python -m benches.versus.series $(SERIES)

.PHONY: versus-charts
versus-charts: $(DEPS) ## Draw docs/img/*.svg from series.jsonl (measures it first when it is not there)
	$(BIN)/python -m pip install --quiet --group charts
	test -f benches/versus/series.jsonl || $(MAKE) versus-series
	$(BIN)/python -m benches.versus.charts
	$(BIN)/python -m benches.versus.publish

.PHONY: versus-clients
versus-clients: $(NATIVE) ## Our client beside three others on one broker; CLIENTS="--quick --only CASES --broker kafka"
	case '$(CLIENTS)' in *kafka*) tests/support/get_kafka.sh ;; esac
	$(BIN)/python -m benches.versus_clients $(CLIENTS)
	$(BIN)/python -m benches.versus.publish

.PHONY: versus-publish
versus-publish: $(DEPS) ## Write RESULTS.md and the tables of docs/performance.md again from the rows that are there
	$(BIN)/python -m benches.versus.publish

.PHONY: fmt
fmt: $(DEPS) ## Format both languages
	cargo fmt
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

.PHONY: lint
lint: $(NATIVE) ## rustfmt, clippy, ruff, import contracts, stub against the compiled module
	cargo fmt --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest odradek._native --ignore-disjoint-bases

.PHONY: types
types: $(DEPS) ## mypy --strict, of the package and of a program that uses it
	$(BIN)/mypy
	$(BIN)/mypy tests/typing/program.py

.PHONY: ci
ci: lint types test-rust test interop demo ## What a change has to pass
