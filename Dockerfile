# syntax=docker/dockerfile:1
# A static binary in an empty image: docker buildx build --platform linux/amd64,linux/arm64 .
FROM --platform=$BUILDPLATFORM rust:1.95-slim-trixie AS build
ARG TARGETARCH
WORKDIR /source
# Rust uses LLD, which folds identical functions, for x86_64 only. Frame pointers make the unwind tables a quarter smaller,
# and profilers can walk the stacks
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C force-frame-pointers=yes" \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all -C force-frame-pointers=yes" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc \
    CC_x86_64_unknown_linux_gnu=x86_64-linux-gnu-gcc

# Cross-compile on the build platform: emulation would take an hour
RUN case "$TARGETARCH" in \
      amd64) machine=x86_64; compiler=gcc-x86-64-linux-gnu ;; \
      arm64) machine=aarch64; compiler=gcc-aarch64-linux-gnu ;; \
      *) echo "not built for $TARGETARCH" >&2; exit 1 ;; \
    esac \
    && if [ "$(dpkg --print-architecture)" != "$TARGETARCH" ]; then \
      apt-get update \
      && apt-get install --yes --no-install-recommends "$compiler" "libc6-dev-$TARGETARCH-cross" \
      && rm -rf /var/lib/apt/lists/*; \
    fi \
    && rustup target add "$machine-unknown-linux-gnu" \
    && echo "$machine-unknown-linux-gnu" >/target

# Dependencies in a separate layer, which is rebuilt only when one of these files changes
COPY Cargo.toml Cargo.lock ./
COPY controller/Cargo.toml controller/
COPY crates/cloud/Cargo.toml crates/cloud/
COPY crates/core/Cargo.toml crates/core/
COPY crates/hints/Cargo.toml crates/hints/
COPY crates/notifications/Cargo.toml crates/notifications/
COPY crates/overview/Cargo.toml crates/overview/
COPY crates/registry/Cargo.toml crates/registry/
COPY crates/testbed/Cargo.toml crates/testbed/
COPY crates/tls/Cargo.toml crates/tls/
RUN mkdir controller/src crates/cloud/src crates/core/src crates/hints/src crates/notifications/src crates/overview/src crates/registry/src crates/testbed/src crates/tls/src \
    && echo 'fn main() {}' >controller/src/main.rs \
    && touch crates/cloud/src/lib.rs crates/core/src/lib.rs crates/hints/src/lib.rs crates/notifications/src/lib.rs crates/overview/src/lib.rs crates/registry/src/lib.rs crates/testbed/src/lib.rs crates/tls/src/lib.rs \
    && cargo build --release --locked --package kube-autorollout --target "$(cat /target)"

COPY controller controller
COPY crates crates
# Cargo compares modification times, and files of a checkout may be older than the layer above
RUN find controller/src crates/*/src -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package kube-autorollout --target "$(cat /target)" \
    && cp "target/$(cat /target)/release/kube-autorollout" /kube-autorollout

# Tests build only this stage, with their own binary, because the base image above requires a registry
FROM scratch
LABEL org.opencontainers.image.title="kube-autorollout" \
      org.opencontainers.image.description="Rolls out Kubernetes workloads when the image behind an unchanged tag has changed" \
      org.opencontainers.image.source="https://github.com/juv/kube-autorollout" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /kube-autorollout /kube-autorollout
USER 65532:65532
ENTRYPOINT ["/kube-autorollout"]
