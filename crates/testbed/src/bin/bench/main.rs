//! Measures the release binary: its size, its memory, and how fast it rolls out.
//!
//! `cargo run --release --package kube-autorollout-testbed --bin bench [-- --json]`

mod figures;
mod measure;

use std::{ffi::OsString, process::ExitCode};

use kube_autorollout_testbed::program::{Failure, Program, write};
use lexopt::{Arg, Parser};

const PROGRAM: Program = Program::new(
    "bench",
    "\
Measures kube-autorollout on a control plane and a registry on this machine: some minutes.

Usage: bench [--json]
",
);

/// How figures are written.
enum Format {
    Text,
    Json,
}

fn main() -> ExitCode {
    PROGRAM.run(format(std::env::args_os().skip(1)), async |format| {
        let figures = measure::everything().await?;
        match format {
            Format::Text => write(&figures.to_string()),
            Format::Json => write(&format!("{:#}\n", figures.json())),
        }
        Ok(true)
    })
}

fn format(arguments: impl Iterator<Item = OsString>) -> Result<Option<Format>, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let mut format = Format::Text;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("json") => format = Format::Json,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(format))
}

fn tell(text: &str) {
    PROGRAM.tell(text);
}
