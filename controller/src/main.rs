//! Rolls out Kubernetes workloads when the image behind an unchanged tag has changed.
//!
//! Data flows one way: the informers of [`controller`] watch workloads, its reconciler observes them, lets `core` decide and
//! rolls out, and [`status`](mod@status) reports. [`check`](mod@check) resolves images without a cluster. `ARCHITECTURE.md` has the
//! overview.

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
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use tokio::runtime::Runtime;

use app::{
    arguments::{self, Command, HintRequest, Request, StatusRequest},
    check, hint, notify, status as status_command,
};
use config::Config;
use error_chain::Chain;
use server::logging::Stream;

/// Something failed at run time.
const FAILED: u8 = 1;

/// The arguments or the configuration are invalid.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help(text)) => print(text),
        Ok(Command::Version) => print(concat!(
            "kube-autorollout ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        Ok(Command::Run { config }) => {
            let environment = environment();
            start(config, &environment, Stream::Output).map_or_else(
                |code| code,
                |(config, runtime)| run(config, &environment, runtime),
            )
        }
        Ok(Command::Check { config, request }) => {
            let environment = environment();
            start(config, &environment, Stream::Error).map_or_else(
                |code| code,
                |(config, runtime)| check(&request, &config, &environment, &runtime),
            )
        }
        Ok(Command::Hint(request)) => {
            let environment = environment();
            let mut keys = environment.clone();
            keys.retain(|name, _| !hint::VARIABLES.contains(&name.as_str()));
            start(None, &keys, Stream::Error).map_or_else(
                |code| code,
                |(config, runtime)| hint(&request, &config, &environment, &runtime),
            )
        }
        Ok(Command::Status { config, request }) => {
            let environment = environment();
            start(config, &environment, Stream::Error).map_or_else(
                |code| code,
                |(config, runtime)| status(&request, &config, &environment, &runtime),
            )
        }
        Ok(Command::Notify { config, sink }) => {
            let environment = environment();
            start(config, &environment, Stream::Error).map_or_else(
                |code| code,
                |(config, runtime)| notify(&sink, &config, &environment, &runtime),
            )
        }
        Err(error) => fail(MISUSED, &format!("{error}; see 'kube-autorollout --help'")),
    }
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Reads the configuration, and starts the log and the runtime; else the exit code, after the error was printed.
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
    let loaded = config::load(file.as_deref(), environment)
        .map_err(|problems| fail(MISUSED, &problems.to_string()))?;
    server::logging::start(
        log,
        loaded.config.log_format,
        loaded.config.log_level.targets().clone(),
    );
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    tracing::debug!(configuration = %loaded.effective, "configured");
    // One thread, on a node of however many cores: we wait most of the time, and each thread has memory of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(FAILED, &format!("cannot start the runtime: {error}")))?;
    Ok((loaded.config, runtime))
}

/// Runs the controller.
fn run(config: Config, environment: &BTreeMap<String, String>, runtime: Runtime) -> ExitCode {
    let ended = runtime.block_on(app::run(config, environment));
    runtime.shutdown_background(); // an exec plugin that hangs is not waited for
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(app::Error::Registry(error)) => fail(MISUSED, &Chain(&error).to_string()),
        Err(error) => {
            tracing::error!("{}", Chain(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// Resolves images.
fn check(
    request: &Request,
    config: &Config,
    environment: &BTreeMap<String, String>,
    runtime: &Runtime,
) -> ExitCode {
    match runtime.block_on(check::run(request, config, environment)) {
        Ok(report) => print_found(&report.shown(request.output), report.is_good()),
        Err(error) => fail(MISUSED, &Chain(&error).to_string()),
    }
}

/// Announces images.
fn hint(
    request: &HintRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
    runtime: &Runtime,
) -> ExitCode {
    match runtime.block_on(hint::run(request, config, environment)) {
        Ok(ended) => {
            print(&ended.text);
            ExitCode::from(ended.code)
        }
        Err(error) => fail(MISUSED, &Chain(&error).to_string()),
    }
}

/// Shows where the workloads stand.
fn status(
    request: &StatusRequest,
    config: &Config,
    environment: &BTreeMap<String, String>,
    runtime: &Runtime,
) -> ExitCode {
    match runtime.block_on(status_command::run(request, config, environment)) {
        Ok(shown) => print_found(&shown.text, !shown.needs_person),
        Err(error @ status_command::Error::Misused(_)) => fail(MISUSED, &Chain(&error).to_string()),
        Err(error) => fail(FAILED, &Chain(&error).to_string()),
    }
}

/// Sends a sample of a notification.
fn notify(
    sink: &str,
    config: &Config,
    environment: &BTreeMap<String, String>,
    runtime: &Runtime,
) -> ExitCode {
    match runtime.block_on(notify::run(sink, config, environment)) {
        Ok(ended) => print_found(&ended.text, ended.sent),
        Err(error) => fail(MISUSED, &Chain(&error).to_string()),
    }
}

/// Writes what a command has found; the exit code says whether that is good.
fn print_found(text: &str, is_good: bool) -> ExitCode {
    let printed = print(text);
    if is_good {
        printed
    } else {
        ExitCode::from(FAILED)
    }
}

/// Writes what the user asked for.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as in `kube-autorollout --help | head -1`.
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Prints why nothing was started.
fn fail(code: u8, text: &str) -> ExitCode {
    // Without standard error there is the exit code.
    drop(writeln!(io::stderr(), "kube-autorollout: {text}"));
    ExitCode::from(code)
}
