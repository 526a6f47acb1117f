# Framefair. `make` alone explains what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# rustup may have been installed a moment ago, by the first line of the same target.
export PATH := $(PATH):$(HOME)/.cargo/bin

TARGET := $(or $(CARGO_TARGET_DIR),target)
# cargo-lambda always names the platform that it builds for, which gives its output a folder of its own.
# The tests name it too, so that what they built is what is deployed, and nothing is compiled twice.
HOST = $$(rustc -vV | sed -n 's/^host: //p')
NAMED = CARGO_BUILD_TARGET="$(HOST)"
FUNCTIONS = --bin creator --bin edge --bin market --bin workers
DATA ?= .framefair

.PHONY: help demo up test deploy-test bench lint clean

help: ## This page
	@echo "Framefair, a render marketplace that runs in one process."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo "Each target first installs what it lacks (Debian 12 or 13, as root or with sudo)."

demo: ## Render one frame for money, from an empty machine to a picture, and end
	@infra/local/install.sh demo
	@cargo build --package framefair-local --package framefair-cli --bins
	@FRAMEFAIR_BIN="$(TARGET)/debug" infra/local/demo.sh

up: ## Keep the hub running until Ctrl-C; its data stays in DATA (default .framefair)
	@infra/local/install.sh demo
	@cargo build --package framefair-local --package framefair-cli --bins
	@exec "$(TARGET)/debug/framefair-local" --data "$(DATA)"

# The journeys start the real programs, so those are built first, and with the tests: the same
# features in both, hence every dependency once. The last line adds up what cargo prints per file.
test: ## Every test, with real Blender, a real chain and real processes
	@began=$$SECONDS; infra/local/install.sh test; installed=$$SECONDS; \
	export $(NAMED); cargo build --workspace --bins --tests; built=$$SECONDS; \
	cargo test --workspace --no-fail-fast 2>&1 | awk ' \
		{ print; fflush() } \
		/^test result:/ { passed += $$4; failed += $$6 } \
		END { printf "\n%d passed, %d failed\n", passed, failed; exit !passed }'; \
	echo "installed in $$((installed - began)) s, built in $$((built - installed)) s, tested in $$((SECONDS - built)) s"
	@$(MAKE) --no-print-directory deploy-test

deploy-test: ## Deploy everything to an emulator of AWS, render for money there, compare the roles
	@infra/local/install.sh test
	@$(NAMED) cargo build --workspace --bins --tests
	@.venv/bin/cargo-lambda lambda build --quiet --compiler cargo --workspace $(FUNCTIONS) --tests \
		--output-format zip --lambda-dir "$(TARGET)/lambda"
	@.venv/bin/python tests/deploy "$(TARGET)/$(HOST)/debug" "$(TARGET)/lambda"

# Each test says what it found in lines of its own, which are shown together at the end.
bench: ## One table: costs beside 100,000 items, latency, storms of 1,000 jobs and 100,000 operations on credits, 10,000 sockets; half an hour
	@infra/local/install.sh test
	@$(NAMED) cargo build --workspace --bins --tests
	@export $(NAMED) FRAMEFAIR_BENCH_ITEMS=100000 FRAMEFAIR_BENCH_JOBS=200 FRAMEFAIR_JOBS=1000 \
		FRAMEFAIR_OPERATIONS=100000 FRAMEFAIR_BENCH_SOCKETS=10000; { \
		cargo test --workspace --test costs -- --nocapture; \
		cargo test --workspace --test contract -- --nocapture latency; \
		cargo test --workspace --test money -- --nocapture through_a_storm; \
		cargo test --workspace --test credits -- --nocapture; \
		cargo bench --package framefair-domain --bench leaves; \
		cargo test --workspace --test sockets -- --nocapture; \
	} 2>&1 | awk '{ print; fflush() } sub(/^.*bench: /, "") { table = table $$0 "\n" } \
		END { printf "\n%s", table }'

lint: ## Formatting, clippy without warnings, licences and duplicates
	@infra/local/install.sh lint
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- --deny warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is missing, so deny.toml was not read; to install it: cargo install --locked cargo-deny"; fi

clean: ## Remove what was built and what demo and up left behind
	@cargo clean
	@rm -rf .framefair demo .venv
