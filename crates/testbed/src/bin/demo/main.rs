//! `cargo demo`: the real controller rolls a Deployment out, on a real control plane, as a story on the terminal.

mod arguments;
mod kept;
mod show;
mod story;
mod terminal;

use std::process::ExitCode;

use kube_autorollout_testbed::{
    image::{Image, Pusher},
    program::{Failure, Program},
};

use arguments::Command;
use terminal::Terminal;

const PROGRAM: Program = Program::new("demo", arguments::HELP);

fn main() -> ExitCode {
    let command = arguments::parse(std::env::args_os().skip(1));
    PROGRAM.run(command, async |command| {
        match command {
            Command::Push {
                host,
                repository,
                tag,
                text,
            } => push(&host, &repository, &tag, &text).await?,
            Command::Story { keep } => {
                Box::pin(story::show(&mut Terminal::new(), keep)).await?;
            }
        }
        Ok(true)
    })
}

/// Pushes an image to the registry of a demo that was kept.
async fn push(host: &str, repository: &str, tag: &str, text: &str) -> Result<(), Failure> {
    let pusher = Pusher::new(host)?;
    let digest = pusher.push(&Image::new(text), repository, tag).await?;
    terminal::line(&format!("{host}/{repository}:{tag} is {digest} now"));
    Ok(())
}
