# Commands for contributors; `just ci` runs what CI runs.

_default:
    @just --list

# Format the code
fmt:
    cargo fmt --all

# Lint as strictly as CI
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Run all tests; the first run builds a Kubernetes control plane and a registry
test:
    cargo test --workspace

# Build the API documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Check licences, sources and bans of dependencies
deny:
    cargo deny check bans licenses sources

# Compile crates one at a time, so that none relies on features that another enables
check-each:
    for package in core registry; do cargo check --package kube-autorollout-$package || exit 1; done; cargo check --package kube-autorollout

# Run a target of fuzz/fuzz_targets until it fails or is stopped; requires a nightly toolchain and cargo-fuzz
fuzz TARGET *ARGUMENTS:
    mkdir -p fuzz/target/corpus/{{TARGET}} && cargo +nightly fuzz run {{TARGET}} fuzz/target/corpus/{{TARGET}} fuzz/corpus/{{TARGET}} -- -timeout=10 {{ARGUMENTS}}

# Show a rollout on a real control plane
demo *ARGUMENTS:
    cargo demo {{ARGUMENTS}}

# Measure size, memory and speed on a real control plane
bench *ARGUMENTS:
    cargo run --package kube-autorollout-testbed --bin bench -- {{ARGUMENTS}}

# Update the screenshot of the status page in the documentation
picture:
    cargo test --package kube-autorollout --test e2e -- overview::page && cp target/tmp/status.png docs/images/status.png

# Run micro-benchmarks of the computations of a check
bench-micro:
    cargo bench --package kube-autorollout-core --package kube-autorollout-registry

# Measure requests, CPU, memory and latencies with many workloads
bench-scale *ARGUMENTS:
    cargo bench-scale {{ARGUMENTS}}

# Expose 300 workloads to ten minutes of faults that are drawn from a seed
chaos SEED *ARGUMENTS:
    cargo chaos {{ARGUMENTS}} {{SEED}}

# Run the tests on the newest Kubernetes, built once from source; arguments are passed to the tests, such as `-- pins`
newest-kubernetes *ARGUMENTS:
    .ci/newest-kubernetes {{ARGUMENTS}}

# Run everything that CI runs
ci:
    .ci/run
