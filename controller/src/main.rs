//! Rolls Kubernetes workloads out when the image behind their unchanged tag has changed.
//!
//! Data flows one way: [`watch`] tells of workloads, [`reconcile`] observes, lets `core` decide, and applies, and
//! [`report`] tells people. `ARCHITECTURE.md` shows the whole.

mod admin;
mod apply;
mod arguments;
mod chain;
mod checker;
mod clock;
mod cluster;
mod config;
mod context;
mod credentials;
mod events;
mod health;
mod identity;
mod keys;
mod memory;
mod metrics;
mod nodes;
mod observe;
mod observer;
mod pods;
mod reconcile;
mod registry_error;
mod report;
mod run;
mod telemetry;
mod wake;
mod watch;
mod workload;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use arguments::Command;
use chain::Chain;

/// Something failed at run time.
const FAILED: u8 = 1;

/// The arguments or the configuration cannot be followed.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(arguments::HELP),
        Ok(Command::Version) => print(concat!(
            "kube-autorollout ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        )),
        Ok(Command::Run { config }) => run(config),
        Err(error) => fail(
            MISUSED,
            &format!("{error}; kube-autorollout --help tells what is known"),
        ),
    }
}

/// Runs the controller.
fn run(file: Option<PathBuf>) -> ExitCode {
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let file = file.or_else(|| {
        environment
            .get("CONFIG_FILE")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    });
    let loaded = match config::load(file.as_deref(), &environment) {
        Ok(loaded) => loaded,
        Err(problems) => return fail(MISUSED, &problems.to_string()),
    };
    telemetry::start(
        loaded.config.log_format,
        loaded.config.log_level.targets().clone(),
    );
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    tracing::debug!(configuration = %loaded.effective, "configured");
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(run::run(loaded.config, &environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", Chain(&error));
            ExitCode::from(FAILED)
        }
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

/// Says why nothing was started.
fn fail(code: u8, text: &str) -> ExitCode {
    // Without standard error there is the exit code.
    drop(writeln!(io::stderr(), "kube-autorollout: {text}"));
    ExitCode::from(code)
}
