//! What programs that measure or judge have in common: how they read arguments, report progress, and end.

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

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

/// Where an error ends that nobody handles but by reading it.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The program did not come to its end, or found something.
const FAILED: u8 = 1;

/// The arguments cannot be followed.
const MISUSED: u8 = 2;

/// What a shell calls a program that ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// A program with a result on standard output and what happens on standard error.
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

    /// Runs `work` with the arguments, or shows the help where they are none, until it ends or is interrupted. `work`
    /// says whether all is well.
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
        // A build on a thread of the runtime is not waited for: it ends with this process
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

    /// A testbed with this patience with silent nodes, and the controller's file: that which is `given`, else its release binary, built now.
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
        let testbed = Testbed::start_with(programs, grace).await?;
        Ok((testbed, controller))
    }

    /// Writes what happens, apart from the result.
    pub fn progress(self, text: &str) {
        drop(writeln!(io::stderr(), "{}: {text}", self.name));
    }
}

/// Ends when the user or the system asks for it.
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

/// Writes a result; when nobody reads it, nothing is lost.
pub fn write(text: &str) {
    drop(io::stdout().write_all(text.as_bytes()));
}
