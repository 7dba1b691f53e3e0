//! Leads many workloads through faults that a seed draws, and judges what the controller made of it.
//!
//! `cargo chaos [OPTIONS] [SEED]`

mod arguments;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use kube_autorollout_testbed::{
    Testbed,
    chaos::{self, Plan, Report},
    controller,
    environment::with_sources,
    programs::{Programs, Progress},
};
use tokio::{runtime::Runtime, signal, task::spawn_blocking};

use arguments::Arguments;

/// Something was found, or the run did not come to its end.
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
    let plan = Plan::new(arguments.seed, arguments.scale);
    write(&plan.to_string());
    if arguments.plan {
        return ExitCode::SUCCESS;
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("could not start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(judged(&arguments, &plan));
    // A build on a thread of the runtime is not waited for: it ends with this process
    runtime.shutdown_background();
    code
}

async fn judged(arguments: &Arguments, plan: &Plan) -> ExitCode {
    let report = tokio::select! {
        report = run(arguments, plan) => report,
        _ = signal::ctrl_c() => {
            tell("interrupted: everything is stopped");
            return ExitCode::from(INTERRUPTED);
        }
    };
    match report {
        Ok(report) => {
            write(&report.to_string());
            if report.is_fine() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(FAILED)
            }
        }
        Err(error) => {
            tell(&with_sources(error.as_ref()));
            ExitCode::from(FAILED)
        }
    }
}

async fn run(arguments: &Arguments, plan: &Plan) -> Result<Report, Failure> {
    let progress = |progress: &Progress| tell(&progress.to_string());
    let programs = spawn_blocking(move || Programs::find(&progress)).await??;
    let program = if let Some(program) = &arguments.program {
        program.clone()
    } else {
        tell("building the controller");
        spawn_blocking(|| controller::build(&|_| {})).await??
    };
    tell("starting the testbed");
    let testbed = Testbed::start(programs).await?;
    Ok(chaos::run(&testbed, &program, plan, &tell).await?)
}

/// Writes a result; when nobody reads it, nothing is lost.
fn write(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}

/// Writes what happens, apart from the result.
fn tell(text: &str) {
    drop(writeln!(io::stderr(), "chaos: {text}"));
}
