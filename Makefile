# The two commands are `make run` and `make test`; `make help` lists the rest.

# In CI every run starts from a fresh clone: what was compiled before is kept in the user's cache folder.
ifeq ($(CI),true)
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tripod/target
endif

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Flags for `tripod up`, for instance `make run UP="--ports auto"`.
UP ?=
# Which fuzz targets run (none named: all), and for how long each.
FUZZ ?=
FUZZ_SECONDS ?= 30

.PHONY: help run test lint tidy bench golden stack fuzz tools

help:
	@echo "make run     build and run the system; flags for it: make run UP='--ports auto'"
	@echo "make test    everything that decides whether a change may land"
	@echo "make lint    format, clippy, house rules, and cargo-deny if it is installed"
	@echo "make bench   costs beside the stock crates and the real components, in one run"
	@echo "make golden  rewrite the golden files from what the code does now"
	@echo "make fuzz    every fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS); FUZZ='otlp_walk' runs one (needs cargo-fuzz and a nightly compiler)"
	@echo "make stack   build the real Collector, Prometheus, Loki and Alertmanager, which tests compare ours with (needs Go)"

run: tools
	cargo build --release --locked -p tripod
	exec $(TARGET)/release/tripod up $(UP)

test: lint
	cargo test --workspace --locked
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

lint: tools tidy
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check licenses bans sources; \
	else echo "left out: cargo-deny is not installed (cargo install cargo-deny)"; fi

tidy: tools
	cargo run --quiet --locked -p xtask -- tidy

bench: tools
	cargo bench --locked -p telemetry -p otlp -p collector -p traces -p logs -p tsdb -p promql -p shipper -p server

golden: tools
	UPDATE_GOLDEN=1 cargo test --workspace --locked

stack:
	deploy/native/build

fuzz: tools
	FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run $(FUZZ)

# A C compiler builds SQLite and ring; everything else comes from the crates registry.
tools:
	@command -v cargo >/dev/null || { echo "missing: Rust 1.94 or newer, see https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "missing: a C compiler (Debian: apt-get install gcc libc6-dev)"; exit 1; }
	@command -v git >/dev/null || { echo "missing: git (Debian: apt-get install git)"; exit 1; }
