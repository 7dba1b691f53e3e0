//! Notes what the binary is built from and with, for `--version` and the metric `build_info`.

#![expect(
    clippy::disallowed_methods,
    reason = "Cargo talks to build scripts through the environment"
)]

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!(
        "cargo::rustc-env=BUILD_RUSTC={}",
        rustc().as_deref().unwrap_or("unknown")
    );
    // The build of a release passes its commit: asking Git here would build anew after every commit.
    println!("cargo::rerun-if-env-changed=BUILD_REVISION");
    let revision = env::var("BUILD_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty());
    println!(
        "cargo::rustc-env=BUILD_REVISION={}",
        revision.as_deref().unwrap_or("unknown")
    );
}

/// The compiler's version.
fn rustc() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?)
        .arg("--version")
        .output()
        .ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    line.split(' ').nth(1).map(str::to_owned)
}
