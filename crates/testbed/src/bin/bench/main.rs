//! Measures the release binary: its size, its memory, and how fast it rolls out.
//!
//! `cargo run --release --package kube-autorollout-testbed --bin bench [-- --json]`

mod figures;
mod measure;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use kube_autorollout_testbed::environment::with_sources;
use lexopt::{Arg, Parser};
use tokio::{runtime::Runtime, signal};

const HELP: &str = "\
Measures kube-autorollout on a control plane and a registry on this machine: some minutes.

Usage: bench [--json]
";

/// The measurement did not come to its end.
const FAILED: u8 = 1;

/// The arguments cannot be followed.
const MISUSED: u8 = 2;

/// What a shell calls a program that ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Where an error ends that nobody handles but by reading it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How figures are written.
enum Format {
    Text,
    Json,
}

fn main() -> ExitCode {
    let format = match format(std::env::args_os().skip(1)) {
        Ok(Some(format)) => format,
        Ok(None) => {
            write(HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            tell(&format!("{error}; try --help"));
            return ExitCode::from(MISUSED);
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("could not start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(&format));
    // A build on a thread of the runtime is not waited for: it ends with this process
    runtime.shutdown_background();
    code
}

async fn run(format: &Format) -> ExitCode {
    let measured = tokio::select! {
        measured = measure::everything() => measured,
        _ = signal::ctrl_c() => {
            tell("interrupted: everything is stopped");
            return ExitCode::from(INTERRUPTED);
        }
    };
    match measured {
        Ok(figures) => {
            match format {
                Format::Text => write(&figures.to_string()),
                Format::Json => write(&format!("{:#}\n", figures.json())),
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            tell(&with_sources(error.as_ref()));
            ExitCode::from(FAILED)
        }
    }
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

/// Writes a result; when nobody reads it, nothing is lost.
fn write(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// Writes what happens, apart from the result.
fn tell(text: &str) {
    drop(writeln!(io::stderr(), "bench: {text}"));
}
