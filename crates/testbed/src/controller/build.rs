//! Building the controller's release binary.

use std::{
    env::{self, consts::ARCH},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::process::{Folder, Guarded, tail};

/// The package and its binary.
const PACKAGE: &str = "kube-autorollout";

/// The folder of the workspace.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How often cargo's output is read.
const POLL: Duration = Duration::from_millis(250);

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cargo could not be run or its output not be read.
    #[error("could not run cargo to build the controller")]
    Run(#[from] io::Error),
    /// Cargo did not succeed.
    #[error("could not build the controller ({status}); the build ended with:\n{tail}")]
    Build {
        /// How cargo ended.
        status: ExitStatus,
        /// The end of what it wrote.
        tail: String,
    },
    /// Cargo succeeded and named no binary.
    #[error("cargo built the controller and did not say where it is")]
    Nowhere,
}

/// Builds the controller in release mode and returns its file; `progress` is called with cargo's output. This blocks, for minutes
/// at the first time.
///
/// # Errors
///
/// When cargo is not there or the build fails.
pub fn build(progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    run(&mut Command::new("cargo"), progress)
}

/// Builds the controller as for its container image, without shared libraries: it runs in an empty root. This is a build
/// of its own beside that of [`build`], and blocks like it.
///
/// # Errors
///
/// When cargo is not there or the build fails.
pub fn build_static(progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    let mut cargo = Command::new("cargo");
    // Relocations of a static program are a twentieth of it, packed a thousandth. With frame pointers its unwind tables are
    // a quarter smaller, and profilers can read its stacks
    let mut flags = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs \
         -C force-frame-pointers=yes"
        .to_owned();
    if ARCH == "x86_64" {
        // Rust links with LLD there, which merges functions that are the same
        flags.push_str(" -C link-arg=-Wl,--icf=all");
    }
    // With the target named, though it is the host's: procedural macros cannot be built static
    cargo
        .env("RUSTFLAGS", flags)
        .env("CARGO_BUILD_TARGET", format!("{ARCH}-unknown-linux-gnu"));
    run(&mut cargo, progress)
}

/// What cargo passes to the programs that it runs about their package. Build scripts of dependencies (ring's) ask for such
/// variables, so that with those of another package everything would be built anew.
const OF_THE_CALLER: [&str; 5] = [
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "OUT_DIR",
];

fn run(command: &mut Command, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if OF_THE_CALLER.iter().any(|begin| text.starts_with(begin)) {
            command.env_remove(&name);
        }
    }
    let folder = Folder::new()?;
    let (output, log) = (folder.path().join("messages"), folder.path().join("log"));
    command
        .args(["build", "--release", "--package", PACKAGE])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(WORKSPACE);
    let (stdout, stderr) = (File::create(&output)?, File::create(&log)?);
    let mut cargo = Guarded::spawn(command, stdout.into(), stderr.into())?;
    let status = loop {
        if let Some(status) = cargo.try_wait()? {
            break status;
        }
        if let Some(line) = tail(&log).lines().last() {
            progress(line.trim());
        }
        thread::sleep(POLL);
    };
    if !status.success() {
        let tail = tail(&log);
        return Err(Error::Build { status, tail });
    }
    executable(&output)?.ok_or(Error::Nowhere)
}

/// The binary's file, from cargo's messages
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>).
fn executable(messages: &Path) -> io::Result<Option<PathBuf>> {
    let messages = fs::read_to_string(messages)?;
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.pointer("/target/name")?.as_str()?;
        let file = message.get("executable")?.as_str()?;
        (name == PACKAGE).then(|| PathBuf::from(file))
    });
    Ok(executable)
}
