# Everything that is done with this project, each by one word. Nothing has to be installed first but rustup's cargo, a
# C compiler and make, and for one test python3 with pip.
BUNDLED = agent data http research text triage web
PLUGINS = $(patsubst %,-p weir-plugin-%,$(BUNDLED))
COMPONENTS = $(patsubst %,target/wasm32-wasip2/plugin/%.wasm,$(BUNDLED))
WASM = cargo build --locked --profile plugin --target wasm32-wasip2
RUN_ARGS ?=
BENCH_ARGS ?=
MUTANTS_ARGS ?=

.PHONY: run test check bench plugins guests setup fmt sim mutants openapi deny

## Builds everything, starts the host on ./data, installs the bundled plugins and example workflows, runs one.
run: plugins
	cargo run --locked --release -p weir-host -- demo --data data --workflows tests/workflows $(RUN_ARGS) --plugins $(COMPONENTS)

## Every test: the engine's simulation, the store, the runtime with hostile guests, the API, a real host killed with -9.
## The host that the last ones start is built with the host's own tests.
test: plugins guests
	cargo test --locked --workspace --exclude weir-guests

## What has to hold before a commit: formatting, lints, documentation, licences.
check: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --target wasm32-wasip2 -p weir-sdk -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet
	$(MAKE) --no-print-directory deny

## Measures a real host over HTTP beside the limits of this machine; writes target/bench.json.
bench: setup
	$(WASM) -p weir-bench-echo -p weir-plugin-agent
	cargo build --locked --release -p weir-host -p weir-bench
	cargo run --locked --release -p weir-bench -- $(BENCH_ARGS)

## The bundled plugins as WebAssembly components, in target/wasm32-wasip2/plugin.
plugins: setup
	$(WASM) $(PLUGINS)

## The programs that misbehave, for the tests.
guests: setup
	$(WASM) -p weir-guests --examples

## The compiler's target for components, and its tools.
setup:
	@rustup target list --installed | grep -q '^wasm32-wasip2$$' || rustup target add wasm32-wasip2
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy

fmt:
	cargo fmt --all

## A million random executions instead of the twenty thousand of `make test`.
sim:
	WEIR_SIM_SEEDS=1000000 cargo test --locked --release -p weir-engine simulation

## Switches each limiter off, in a copy of the sources, and fails where no test notices; half an hour.
mutants: plugins guests
	cargo run --locked -p weir-mutants -- $(MUTANTS_ARGS)

## Rewrites host/openapi.json from the code.
openapi:
	cargo run --locked -p weir-host -- openapi > host/openapi.json

## Licences, bans and sources; needs cargo-deny, and says so where it is missing.
deny:
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; else echo "cargo-deny is not installed: licences not checked (cargo install --locked cargo-deny)"; fi
