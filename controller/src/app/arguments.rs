//! The command line.

mod help;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use kube_autorollout_core::schedule::parse_duration;
use kube_autorollout_hints::MAX_WAIT;
use kube_autorollout_overview::Filter;
use lexopt::{Arg, Parser, ValueExt as _};

use self::help::{CHECK_HELP, HELP, HINT_HELP, NOTIFY_HELP, STATUS_HELP};

/// A command and its arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the controller.
    Run {
        /// `--config`.
        config: Option<PathBuf>,
    },
    /// Resolve images.
    Check {
        /// `--config`.
        config: Option<PathBuf>,
        /// The other arguments.
        request: CheckRequest,
    },
    /// Announce images.
    Hint(HintRequest),
    /// Show the state of the workloads.
    Status {
        /// `--config`.
        config: Option<PathBuf>,
        /// The other arguments.
        request: StatusRequest,
    },
    /// Send a sample notification.
    Notify {
        /// `--config`.
        config: Option<PathBuf>,
        /// `--test`.
        sink: String,
    },
    /// Print a help text.
    Help(&'static str),
    /// Print the version.
    Version,
}

/// The arguments of `check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckRequest {
    /// The images, at least one.
    pub(crate) images: Vec<String>,
    /// `--docker-config`.
    pub(crate) docker_config: Option<PathBuf>,
    /// `--output`.
    pub(crate) output: CheckOutput,
}

/// The arguments of `hint`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HintRequest {
    /// The images, at least one.
    pub(crate) images: Vec<String>,
    /// `--url`.
    pub(crate) url: Option<String>,
    /// `--wait`.
    pub(crate) wait: Option<Duration>,
    /// `--token-file`.
    pub(crate) token_file: Option<PathBuf>,
}

/// The arguments of `status`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusRequest {
    /// `--url`.
    pub(crate) url: Option<String>,
    /// `--namespace`.
    pub(crate) filter: Filter,
    /// `--output`.
    pub(crate) output: StatusOutput,
}

/// The output format of `status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum StatusOutput {
    /// A table.
    #[default]
    Text,
    /// A table with all details.
    Wide,
    /// For programs.
    Json,
}

/// The output format of `check`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CheckOutput {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Why the arguments are invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An unknown argument, or an option without a valid value.
    #[error(transparent)]
    Argument(#[from] lexopt::Error),
    /// A command without an image.
    #[error("{0} requires at least one image")]
    NoImage(&'static str),
    /// `notify` without a sink.
    #[error("notify requires --test SINK")]
    NoSink,
}

/// Parses the arguments after the name of the program.
///
/// # Errors
///
/// [`Error`] if they are invalid.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = Parser::from_args(arguments);
    let mut config = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(HELP)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Value(command) if command == "check" => return check(parser, config),
            Arg::Value(command) if command == "hint" => return hint(parser),
            Arg::Value(command) if command == "status" => return status(parser, config),
            Arg::Value(command) if command == "notify" => return notify(parser, config),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Run { config })
}

fn check(mut parser: Parser, mut config: Option<PathBuf>) -> Result<Command, Error> {
    let mut request = CheckRequest::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(CHECK_HELP)),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Long("docker-config") => request.docker_config = Some(parser.value()?.into()),
            Arg::Long("output") => request.output = parser.value()?.parse_with(check_output)?,
            Arg::Value(image) => request.images.push(image.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if request.images.is_empty() {
        return Err(Error::NoImage("check"));
    }
    Ok(Command::Check { config, request })
}

fn hint(mut parser: Parser) -> Result<Command, Error> {
    let mut request = HintRequest::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(HINT_HELP)),
            Arg::Long("url") => request.url = Some(parser.value()?.string()?),
            Arg::Long("wait") => request.wait = Some(parser.value()?.parse_with(wait)?),
            Arg::Long("token-file") => request.token_file = Some(parser.value()?.into()),
            Arg::Value(image) => request.images.push(image.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if request.images.is_empty() {
        return Err(Error::NoImage("hint"));
    }
    Ok(Command::Hint(request))
}

fn status(mut parser: Parser, mut config: Option<PathBuf>) -> Result<Command, Error> {
    let mut request = StatusRequest::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(STATUS_HELP)),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Short('n') | Arg::Long("namespace") => {
                request.filter = parser.value()?.parse_with(filter)?;
            }
            Arg::Short('o') | Arg::Long("output") => {
                request.output = parser.value()?.parse_with(status_output)?;
            }
            Arg::Long("url") => request.url = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Status { config, request })
}

fn notify(mut parser: Parser, mut config: Option<PathBuf>) -> Result<Command, Error> {
    let mut sink = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(NOTIFY_HELP)),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Long("test") => sink = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let sink = sink.ok_or(Error::NoSink)?;
    Ok(Command::Notify { config, sink })
}

fn check_output(text: &str) -> Result<CheckOutput, &'static str> {
    match text {
        "text" => Ok(CheckOutput::Text),
        "json" => Ok(CheckOutput::Json),
        _ => Err("allowed for --output: text or json"),
    }
}

fn status_output(text: &str) -> Result<StatusOutput, &'static str> {
    match text {
        "text" => Ok(StatusOutput::Text),
        "wide" => Ok(StatusOutput::Wide),
        "json" => Ok(StatusOutput::Json),
        _ => Err("allowed for --output: text, wide or json"),
    }
}

fn wait(text: &str) -> Result<Duration, &'static str> {
    let wait = parse_duration(text).ok();
    let wait = wait.filter(|wait| !wait.is_zero() && *wait <= MAX_WAIT);
    wait.ok_or("allowed for --wait: an integer and s or m, from 1s to 15m")
}

/// The filter for a namespace, which must be valid in the query of a URL.
fn filter(namespace: &str) -> Result<Filter, &'static str> {
    let filter = Filter {
        namespace: Some(namespace.into()),
        ..Filter::default()
    };
    match Filter::parse(filter.query().trim_start_matches('?')) {
        Ok(parsed) if parsed == filter && !namespace.is_empty() => Ok(filter),
        _ => Err("allowed for --namespace: the name of a namespace"),
    }
}

#[cfg(test)]
mod tests;
