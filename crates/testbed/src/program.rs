//! What the programs of this crate have in common: how they read arguments, report progress, and end.

use std::{
    error::Error,
    fmt::Display,
    fs,
    io::{self, Write as _},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
};

use lexopt::{Parser, ValueExt as _};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use crate::{
    control_plane::NodeGrace,
    controller,
    environment::{Testbed, with_sources},
    programs::{Programs, Progress},
};

/// An error that is only reported.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The exit code of a program that failed, or found something.
const FAILED: u8 = 1;

/// The exit code for wrong arguments.
const MISUSED: u8 = 2;

/// The exit code after Ctrl-C, as in shells.
const INTERRUPTED: u8 = 130;

/// A program with a result on standard output and its progress on standard error.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    name: &'static str,
    help: &'static str,
}

impl Program {
    /// A program that answers `--help` with `help`.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help }
    }

    /// Runs `work` with the arguments until it ends or is interrupted, or shows the help without arguments. `work` returns
    /// whether all is well.
    pub fn run<A, E: Display>(
        self,
        arguments: Result<Option<A>, E>,
        work: impl AsyncFnOnce(A) -> Result<bool, Failure>,
    ) -> ExitCode {
        let arguments = match arguments {
            Ok(Some(arguments)) => arguments,
            Ok(None) => {
                write(self.help);
                return ExitCode::SUCCESS;
            }
            Err(error) => {
                self.progress(&format!("{error}; try --help"));
                return ExitCode::from(MISUSED);
            }
        };
        let runtime = match Runtime::new() {
            Ok(runtime) => runtime,
            Err(error) => {
                self.progress(&format!("could not start: {error}"));
                return ExitCode::from(FAILED);
            }
        };
        let code = runtime.block_on(self.ended(work(arguments)));
        // Does not wait for a build on a thread of the runtime: it ends with this process
        runtime.shutdown_background();
        code
    }

    async fn ended(self, work: impl Future<Output = Result<bool, Failure>>) -> ExitCode {
        let ended = tokio::select! {
            biased; // work that waits for the interruption has come to its proper end
            ended = work => ended,
            interrupted = interrupted() => match interrupted {
                Ok(()) => {
                    self.progress("interrupted: everything is stopped");
                    return ExitCode::from(INTERRUPTED);
                }
                Err(error) => Err(error.into()),
            },
        };
        match ended {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(FAILED),
            Err(error) => {
                self.progress(&with_sources(error.as_ref()));
                ExitCode::from(FAILED)
            }
        }
    }

    /// Starts a testbed with this patience with silent nodes. Returns it with the controller's file: the `given` one, else
    /// its release binary, which is built first.
    ///
    /// # Errors
    ///
    /// When a program cannot be found or built, or does not start.
    pub async fn prepared(
        self,
        given: Option<&Path>,
        grace: NodeGrace,
    ) -> Result<(Testbed, PathBuf), Failure> {
        let progress = move |progress: &Progress| self.progress(&progress.to_string());
        let programs = spawn_blocking(move || Programs::find(&progress)).await??;
        let controller = if let Some(given) = given {
            given.to_owned()
        } else {
            self.progress("building the controller");
            spawn_blocking(|| controller::build(&|_| {})).await??
        };
        self.progress("starting the testbed");
        let testbed = Testbed::start(programs, grace).await?;
        Ok((testbed, controller))
    }

    /// Writes a line of progress.
    pub fn progress(self, text: &str) {
        drop(writeln!(io::stderr(), "{}: {text}", self.name));
    }
}

/// Waits for a signal of the user or the system to end.
///
/// # Errors
///
/// When signals cannot be received.
pub async fn interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// The value of an option that is at least one.
///
/// # Errors
///
/// When it is missing, or no such number.
pub fn at_least_one(parser: &mut Parser) -> Result<usize, lexopt::Error> {
    let number: NonZeroUsize = parser.value()?.parse()?;
    Ok(number.get())
}

/// The value of an option that is a file, as an absolute path.
///
/// # Errors
///
/// When it is missing, or there is no such file.
pub fn file(parser: &mut Parser) -> Result<PathBuf, lexopt::Error> {
    let path = fs::canonicalize(parser.value()?);
    path.map_err(|error| lexopt::Error::Custom(Box::new(error)))
}

/// Writes a result; an error means that nobody reads it.
pub fn write(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}
