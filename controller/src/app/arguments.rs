//! The command line.

mod help;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use kube_autorollout_core::schedule::parse_duration;
use kube_autorollout_hints::LONGEST_WAIT;
use kube_autorollout_overview::Filter;
use lexopt::{Arg, Parser, ValueExt as _};

use self::help::{CHECK_HELP, HELP, HINT_HELP, NOTIFY_HELP, STATUS_HELP};

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the controller.
    Run {
        /// Given with `--config`.
        config: Option<PathBuf>,
    },
    /// Resolve images.
    Check {
        /// Given with `--config`.
        config: Option<PathBuf>,
        /// Which images, and how to print the result.
        request: Request,
    },
    /// Announce images.
    Hint(HintRequest),
    /// Show where the workloads stand.
    Status {
        /// Given with `--config`.
        config: Option<PathBuf>,
        /// Of whom, and how to print it.
        request: StatusRequest,
    },
    /// Send a sample notification.
    Notify {
        /// Given with `--config`.
        config: Option<PathBuf>,
        /// Given with `--test`.
        sink: String,
    },
    /// Print a help text.
    Help(&'static str),
    /// Print the version.
    Version,
}

/// The arguments of `check`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The images, at least one.
    pub(crate) images: Vec<String>,
    /// Given with `--docker-config`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Given with `--output`.
    pub(crate) output: Output,
}

/// The arguments of `hint`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct HintRequest {
    /// The images, at least one.
    pub(crate) images: Vec<String>,
    /// Given with `--url`.
    pub(crate) url: Option<String>,
    /// Given with `--wait`.
    pub(crate) wait: Option<Duration>,
    /// Given with `--token-file`.
    pub(crate) token_file: Option<PathBuf>,
}

/// The arguments of `status`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusRequest {
    /// Given with `--url`.
    pub(crate) url: Option<String>,
    /// What is asked for, with `--namespace`.
    pub(crate) filter: Filter,
    /// Given with `--output`.
    pub(crate) format: Format,
}

/// How `status` prints its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For people who want to see everything.
    Wide,
    /// For programs.
    Json,
}

/// How `check` prints its result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Why the arguments are invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An unknown argument, or an option without its value.
    #[error(transparent)]
    Argument(#[from] lexopt::Error),
    /// Not an output format.
    #[error("invalid value {0:?} for option '--output'; allowed: text or json")]
    Output(OsString),
    /// Not an output format of `status`.
    #[error("invalid value {0:?} for option '--output'; allowed: text, wide or json")]
    Format(OsString),
    /// Not a namespace.
    #[error("invalid value {0:?} for option '--namespace'; allowed: the name of a namespace")]
    Namespace(OsString),
    /// Not a length of time, or too long.
    #[error(
        "invalid value {0:?} for option '--wait'; allowed: an integer and s or m, from 1s to 15m"
    )]
    Wait(OsString),
    /// A command without an image.
    #[error("{0} requires at least one image")]
    NoImage(&'static str),
    /// `notify` without a sink.
    #[error("notify requires --test SINK")]
    NoSink,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
///
/// [`Error`] when they are invalid.
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

/// Reads the arguments that follow `check`.
fn check(mut parser: Parser, mut config: Option<PathBuf>) -> Result<Command, Error> {
    let mut request = Request::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(CHECK_HELP)),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Long("docker-config") => request.docker_config = Some(parser.value()?.into()),
            Arg::Long("output") => request.output = output(parser.value()?)?,
            Arg::Value(image) => request.images.push(image.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if request.images.is_empty() {
        return Err(Error::NoImage("check"));
    }
    Ok(Command::Check { config, request })
}

/// Reads the arguments that follow `hint`.
fn hint(mut parser: Parser) -> Result<Command, Error> {
    let mut request = HintRequest::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(HINT_HELP)),
            Arg::Long("url") => request.url = Some(parser.value()?.string()?),
            Arg::Long("wait") => request.wait = Some(wait(parser.value()?)?),
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

/// Reads the arguments that follow `status`.
fn status(mut parser: Parser, mut config: Option<PathBuf>) -> Result<Command, Error> {
    let mut request = StatusRequest::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(STATUS_HELP)),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Short('n') | Arg::Long("namespace") => {
                request.filter = of_namespace(parser.value()?)?;
            }
            Arg::Short('o') | Arg::Long("output") => request.format = format(parser.value()?)?,
            Arg::Long("url") => request.url = Some(parser.value()?.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Status { config, request })
}

fn of_namespace(value: OsString) -> Result<Filter, Error> {
    let namespace = value.to_str().filter(|name| !name.is_empty());
    let filter = Filter {
        namespace: namespace.map(Box::from),
        ..Filter::default()
    };
    let is_valid = Filter::parse(filter.query().trim_start_matches('?')).as_ref() == Ok(&filter);
    let filter = Some(filter).filter(|_| is_valid && namespace.is_some());
    filter.ok_or(Error::Namespace(value))
}

fn format(value: OsString) -> Result<Format, Error> {
    match value.to_str() {
        Some("text") => Ok(Format::Text),
        Some("wide") => Ok(Format::Wide),
        Some("json") => Ok(Format::Json),
        _ => Err(Error::Format(value)),
    }
}

/// Reads the arguments that follow `notify`.
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

fn wait(value: OsString) -> Result<Duration, Error> {
    let wait = value.to_str().and_then(|value| parse_duration(value).ok());
    let is_allowed = |wait: &Duration| !wait.is_zero() && *wait <= LONGEST_WAIT;
    wait.filter(is_allowed).ok_or(Error::Wait(value))
}

fn output(value: OsString) -> Result<Output, Error> {
    match value.to_str() {
        Some("text") => Ok(Output::Text),
        Some("json") => Ok(Output::Json),
        _ => Err(Error::Output(value)),
    }
}

#[cfg(test)]
mod tests;
