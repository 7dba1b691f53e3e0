//! Measures what the controller costs with many workloads: requests, CPU, memory and latencies, phase by phase.
//!
//! `cargo bench-scale [OPTIONS]`

mod arguments;
mod cluster;
mod figures;
mod latencies;
mod meter;
mod phases;
mod subject;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use kube_autorollout_testbed::environment::with_sources;
use tokio::{runtime::Runtime, signal};

use arguments::Arguments;

/// The measurement did not come to its end.
const FAILED: u8 = 1;

/// The arguments cannot be followed.
const MISUSED: u8 = 2;

/// What a shell calls a program that ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Where an error ends that nobody handles but by reading it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            write(arguments::HELP);
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
    let code = runtime.block_on(run(&arguments));
    // A build on a thread of the runtime is not waited for: it ends with this process
    runtime.shutdown_background();
    code
}

async fn run(arguments: &Arguments) -> ExitCode {
    let measured = tokio::select! {
        measured = subject::measure_all(arguments) => measured,
        _ = signal::ctrl_c() => {
            tell("interrupted: everything is stopped");
            return ExitCode::from(INTERRUPTED);
        }
    };
    match measured {
        Ok(report) if arguments.json => write(&format!("{:#}\n", report.json())),
        Ok(report) => write(&report.to_string()),
        Err(error) => {
            tell(&with_sources(error.as_ref()));
            return ExitCode::from(FAILED);
        }
    }
    ExitCode::SUCCESS
}

/// Writes a result; when nobody reads it, nothing is lost.
fn write(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// Writes what happens, apart from the result.
fn tell(text: &str) {
    drop(writeln!(io::stderr(), "bench-scale: {text}"));
}
