//! `cargo demo`: the real controller rolls a Deployment out, on a real control plane, as a story on the terminal.

mod arguments;
mod kept;
mod show;
mod story;
mod terminal;

use std::process::ExitCode;

use kube_autorollout_testbed::{
    environment::with_sources,
    image::{Image, Pusher},
    program::Failure,
};
use tokio::runtime::Runtime;

use arguments::Command;
use terminal::Terminal;

/// The story did not come to its end.
const FAILED: u8 = 1;

/// The arguments cannot be followed.
const MISUSED: u8 = 2;

/// What a shell calls a program that ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut terminal = Terminal::new();
    let command = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            terminal.failure(&format!("{error}; try cargo demo -- --help"));
            return ExitCode::from(MISUSED);
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.failure(&format!("could not start: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    let code = runtime.block_on(run(command, &mut terminal));
    // A build on a thread of the runtime is not waited for: it ends with this process
    runtime.shutdown_background();
    code
}

async fn run(command: Command, terminal: &mut Terminal) -> ExitCode {
    let result = match command {
        Command::Help => {
            terminal::line(arguments::HELP);
            Ok(())
        }
        Command::Push {
            host,
            repository,
            tag,
            text,
        } => push(&host, &repository, &tag, &text).await,
        Command::Story { keep } => tokio::select! {
            biased; // an interrupted `--keep` has come to its proper end
            result = story::show(terminal, keep) => result,
            result = terminal::interrupted() => match result {
                Ok(()) => {
                    terminal.failure("interrupted: everything is stopped");
                    return ExitCode::from(INTERRUPTED);
                }
                Err(error) => Err(error.into()),
            },
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.failure(&with_sources(error.as_ref()));
            ExitCode::from(FAILED)
        }
    }
}

/// Pushes an image to the registry of a demo that was kept.
async fn push(host: &str, repository: &str, tag: &str, text: &str) -> Result<(), Failure> {
    let pusher = Pusher::new(host)?;
    let digest = pusher.push(&Image::new(text), repository, tag).await?;
    terminal::line(&format!("{host}/{repository}:{tag} is {digest} now"));
    Ok(())
}
