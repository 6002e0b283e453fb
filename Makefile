# Everything a developer does here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The static program of the image: what the target links it links in.
STATIC_TARGET := x86_64-unknown-linux-gnu
IMAGE := target/schemaward-image.tar

# The phases of `make test`, in order; the demo and e2e come last because they take longest.
PHASES := parts fmt-check lint unit model integration faults-sample chart-check docs-check demo e2e

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: parts
parts: ## Bring the real servers and tools for tests and demo (once; outside the checkout)
	@parts/get

.PHONY: build
build: ## Build the program, target/debug/schemaward
	cargo build

.PHONY: test
test: ## Everything that CI runs, with the time of each phase
	@for phase in $(PHASES); do \
	  echo "==> $$phase"; start=$$SECONDS; \
	  $(MAKE) $$phase || { echo "==> $$phase FAILED after $$((SECONDS - start)) s"; exit 1; }; \
	  times+=$$(printf '  %-12s %4d s' $$phase $$((SECONDS - start)))$$'\n'; \
	done; \
	echo "==> all phases passed"; printf '%s' "$$times"; printf '  %-12s %4d s\n' total $$SECONDS

.PHONY: fmt
fmt: ## Format the source
	cargo fmt

.PHONY: fmt-check
fmt-check:
	cargo fmt --check

.PHONY: lint
lint: ## Clippy, warnings being errors
	cargo clippy --all-targets --locked -- -D warnings

.PHONY: unit
unit: ## Unit tests, documentation examples and the checks of the source; no servers
	cargo test --locked --lib --bins
	cargo test --locked --doc
	@for test in $(basename $(notdir $(wildcard tests/*.rs))) architecture fuzz status; do cargo test --locked --test $$test; done

.PHONY: model
model: ## The engine on a simulated database: every order of small runs, and 100,000 random ones
	cargo test --locked --test model -- --show-output

.PHONY: model-long
model-long: ## The same with all faults everywhere, and 1,000,000 random runs from a new seed
	SCHEMAWARD_MODEL_ALL_FAULTS=1 SCHEMAWARD_MODEL_RUNS=1000000 \
	  SCHEMAWARD_MODEL_SEED=$${SCHEMAWARD_MODEL_SEED:-$$(date +%s)000000} \
	  cargo test --locked --test model -- --show-output

.PHONY: integration
integration: ## Tests on a real PostgreSQL and a real Kubernetes API server
	@parts/get postgres postgres-all pgbouncer faketime control-plane helm health actionlint moto external-secrets
	tests/harness/test_parts.py
	tests/harness/test_servers.py
	cargo test --locked --test it

.PHONY: faults-sample
faults-sample:
	@parts/get postgres pgbouncer control-plane helm
	cargo test --locked --test faults -- --nocapture

.PHONY: faults
faults: ## A fault at every message, and every case of the matrix; FAULTS=… for some (CONTRIBUTING.md)
	@parts/get postgres pgbouncer control-plane helm faketime
	FAULTS="$${FAULTS:-all}" cargo test --locked --test faults -- --nocapture

.PHONY: chart-check
chart-check: ## The charts: lint, and rendered with several values; and what builds the image
	python3 -m unittest discover -q -s image
	@parts/get control-plane helm
	charts/check

.PHONY: docs-check
docs-check: ## The documents: links, terms, manifests, and commands with their output
	@parts/get postgres control-plane helm
	docs/check

.PHONY: demo
demo: ## Show the main job from nothing to Ready (KEEP=1 leaves it running)
	@parts/get postgres control-plane helm
	@demo/run

.PHONY: image
image: ## Build the OCI image FROM scratch: target/schemaward-image.tar
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target $(STATIC_TARGET)
	image/build.py --binary target/$(STATIC_TARGET)/release/schemaward --output $(IMAGE)

.PHONY: bench
bench: ## Measure against psql, and the operator; on a machine that does nothing else
	@parts/get postgres control-plane helm
	@$(MAKE) image
	bench/cli
	bench/large
	bench/ready

.PHONY: e2e
e2e: ## The chart and the image on a real node (Linux, root)
	e2e/run
