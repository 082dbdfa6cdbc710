# The commands of the project. CI runs `make test` and nothing else.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.PHONY: help demo test prepare lint unit bench soak fuzz

help: ## Lists the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## Runs Rotary with a simulated Asterisk: nothing to install but Rust
	cargo run -- demo

# The runner goes last, so that its summary is the last thing printed.
test: prepare lint ## Installs what the tests need, then runs all checks and all tests
	cargo test --doc
	@if cargo nextest --version >/dev/null 2>&1; \
	then echo "cargo nextest run --no-fail-fast"; cargo nextest run --no-fail-fast; \
	else echo "cargo test --all-targets --no-fail-fast"; cargo test --all-targets --no-fail-fast; fi

prepare: ## Installs sipp and PostgreSQL where missing, unpacks Asterisk 22 and 16 for the tests
	tests/prepare.sh

lint: ## Formatting, clippy and documentation, warnings denied
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

unit: ## The tests that need nothing but Rust
	cargo test --lib --bins

bench: ## Runs the benchmarks (real PostgreSQL and Asterisk among them) and prints one table
	@cargo build --release --bins --manifest-path benches/Cargo.toml
	@echo "name | value | baseline | ratio"
	@for bench in codec index csv ledger calls asterisk; do benches/target/release/$$bench || exit 1; done

soak: ## Runs the daemon for MINUTES (10) amid failures and prints a balance sheet (needs PostgreSQL)
	@cargo build --release --bin soak --manifest-path benches/Cargo.toml
	@MINUTES=$(or $(MINUTES),10) benches/target/release/soak

fuzz: ## Fuzzes the AMI codec for a minute (needs cargo-fuzz and a nightly Rust)
	mkdir -p fuzz/corpus/codec
	cargo +nightly fuzz run codec fuzz/corpus/codec fuzz/seeds/codec tests/fixtures/ami -- \
		-max_len=4096 -dict=fuzz/codec.dict -max_total_time=60
