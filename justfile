# What a contributor types. Each recipe is one line of real work; `just ci` is what CI runs.

_default:
    @just --list

# Format the code
fmt:
    cargo fmt --all

# All lints, as strict as CI
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Every test; the first run builds a Kubernetes control plane and a registry
test:
    cargo test --workspace

# The API documentation
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, sources and bans of dependencies
deny:
    cargo deny check bans licenses sources

# Each crate compiles alone, so that none lives on the features of another
check-each:
    for package in core registry; do cargo check --package kube-autorollout-$package || exit 1; done; cargo check --package kube-autorollout

# One of fuzz/fuzz_targets until it fails or is stopped; needs a nightly toolchain and cargo-fuzz
fuzz TARGET *ARGUMENTS:
    mkdir -p fuzz/target/corpus/{{TARGET}} && cargo +nightly fuzz run {{TARGET}} fuzz/target/corpus/{{TARGET}} fuzz/corpus/{{TARGET}} -- -timeout=10 {{ARGUMENTS}}

# The story on a real control plane
demo *ARGUMENTS:
    cargo demo {{ARGUMENTS}}

# Size, memory and speed on a real control plane
bench *ARGUMENTS:
    cargo run --package kube-autorollout-testbed --bin bench -- {{ARGUMENTS}}

# The picture of the status page in the documentation
picture:
    cargo test --package kube-autorollout --test e2e -- overview::page && cp target/tmp/status.png docs/images/status.png

# Micro-benchmarks of what a check computes
bench-micro:
    cargo bench --package kube-autorollout-core --package kube-autorollout-registry

# Many workloads, phase by phase: requests, CPU, memory, latencies
bench-scale *ARGUMENTS:
    cargo bench-scale {{ARGUMENTS}}

# Three hundred workloads through ten minutes of faults drawn from a seed
chaos SEED *ARGUMENTS:
    cargo chaos {{ARGUMENTS}} {{SEED}}

# The tests on the newest Kubernetes, built once from source; what is appended goes to the tests, such as `-- pins`
newest-kubernetes *ARGUMENTS:
    .ci/newest-kubernetes {{ARGUMENTS}}

# Everything that CI runs
ci:
    .ci/run
