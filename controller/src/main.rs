//! Rolls out Kubernetes workloads when the image behind an unchanged tag has changed.
//!
//! Data flows one way: the watches of [`controller`] follow workloads, its reconciler observes them, lets `core` decide and
//! rolls out, and [`status`] reports. [`check`] resolves images without a cluster. `ARCHITECTURE.md` has the overview.

mod app;
mod client;
mod clock;
mod config;
mod constants;
mod controller;
mod error_chain;
mod hints;
mod leader_election;
mod lookup;
mod metrics;
mod notifications;
mod observe;
mod overview;
mod registry;
mod rollout;
mod server;
mod status;
mod workload;

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use tokio::runtime::Runtime;

use app::{
    arguments::{self, Command},
    check, hint, notify, status as status_command,
};
use config::Config;
use error_chain::Chain;
use server::logging::Stream;

/// The exit code of a runtime error.
const FAILED: u8 = 1;

/// The exit code of invalid arguments or an invalid configuration.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => execute(command).unwrap_or_else(|code| code),
        Err(error) => fail(
            MISUSED,
            &format_args!("{error}; see 'kube-autorollout --help'"),
        ),
    }
}

/// Executes a command and returns its exit code; an error has been printed.
fn execute(command: Command) -> Result<ExitCode, ExitCode> {
    let environment = environment();
    match command {
        Command::Help(text) => Ok(print(text)),
        Command::Version => Ok(print(concat!(
            "kube-autorollout ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        ))),
        Command::Run { config } => {
            let (config, runtime) = start(config, &environment, Stream::Output)?;
            Ok(run(config, &environment, runtime))
        }
        Command::Check { config, request } => {
            let (config, runtime) = start(config, &environment, Stream::Error)?;
            let report = runtime.block_on(check::run(&request, &config, &environment));
            let report = report.map_err(|error| fail(MISUSED, &Chain(&error)))?;
            Ok(print_result(
                &report.render(request.output),
                report.all_resolved(),
            ))
        }
        Command::Hint(request) => {
            let mut keys = environment.clone();
            keys.retain(|name, _| !hint::VARIABLES.contains(&name.as_str()));
            let (config, runtime) = start(None, &keys, Stream::Error)?;
            let outcome = runtime.block_on(hint::run(&request, &config, &environment));
            let outcome = outcome.map_err(|error| fail(MISUSED, &Chain(&error)))?;
            print(&outcome.text);
            Ok(ExitCode::from(outcome.code))
        }
        Command::Status { config, request } => {
            let (config, runtime) = start(config, &environment, Stream::Error)?;
            let report = runtime.block_on(status_command::run(&request, &config, &environment));
            let report = report.map_err(|error| {
                let code = if error.is_usage() { MISUSED } else { FAILED };
                fail(code, &Chain(&error))
            })?;
            Ok(print_result(&report.text, !report.needs_person))
        }
        Command::Notify { config, sink } => {
            let (config, runtime) = start(config, &environment, Stream::Error)?;
            let outcome = runtime.block_on(notify::run(&sink, &config, &environment));
            let outcome = outcome.map_err(|error| fail(MISUSED, &Chain(&error)))?;
            Ok(print_result(&outcome.text, outcome.is_sent))
        }
    }
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Loads the configuration, and starts the log and the runtime. An error is printed and returned as the exit code.
fn start(
    file: Option<PathBuf>,
    environment: &BTreeMap<String, String>,
    log: Stream,
) -> Result<(Config, Runtime), ExitCode> {
    let file = file.or_else(|| {
        environment
            .get("CONFIG_FILE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    let loaded =
        config::load(file.as_deref(), environment).map_err(|problems| fail(MISUSED, &problems))?;
    server::logging::start(
        log,
        loaded.config.log_format,
        loaded.config.log_level.targets().clone(),
    );
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    tracing::debug!(configuration = %loaded.effective, "configured");
    // One thread: the process mostly waits, and each thread has memory of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(FAILED, &format_args!("cannot start the runtime: {error}")))?;
    Ok((loaded.config, runtime))
}

/// Runs the controller.
fn run(config: Config, environment: &BTreeMap<String, String>, runtime: Runtime) -> ExitCode {
    let result = runtime.block_on(app::run(config, environment));
    runtime.shutdown_background(); // does not wait for an exec plugin that hangs
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(app::Error::Registry(error)) => fail(MISUSED, &Chain(&error)),
        Err(error) => {
            tracing::error!("{}", Chain(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// Writes the result of a command to standard output.
fn print_result(text: &str, succeeded: bool) -> ExitCode {
    let printed = print(text);
    if succeeded {
        printed
    } else {
        ExitCode::from(FAILED)
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has closed the pipe, as in `kube-autorollout --help | head -1`.
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Writes an error to standard error.
fn fail(code: u8, error: &dyn Display) -> ExitCode {
    // If that fails, only the exit code is left.
    drop(writeln!(io::stderr(), "kube-autorollout: {error}"));
    ExitCode::from(code)
}
