//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use kube_autorollout_core::schedule::parse_duration;
use kube_autorollout_hints::LONGEST_WAIT;
use lexopt::{Arg, Parser, ValueExt as _};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Rolls out Kubernetes workloads when the image behind an unchanged tag has changed.

Usage: kube-autorollout [OPTIONS]
       kube-autorollout check [OPTIONS] IMAGE...
       kube-autorollout hint [OPTIONS] IMAGE...

Commands:
  check              Resolve images with the configuration of the controller; see 'check --help'
  hint               Announce pushed images to a controller; see 'hint --help'

Options:
      --config FILE  Path of the configuration file [env: CONFIG_FILE]
  -h, --help         Print this help
  -V, --version      Print the version

Exit codes:
  0  terminated by a signal
  1  runtime error
  2  invalid arguments or configuration
";

/// What `check --help` prints.
pub(crate) const CHECK_HELP: &str = "\
Resolves images in their registries with the configuration of the controller, without a cluster.

Usage: kube-autorollout check [OPTIONS] IMAGE...

Options:
      --config FILE         Path of the configuration file [env: CONFIG_FILE]
      --docker-config FILE  Path of a .dockerconfigjson, as in a pull Secret; its credentials are tried first
      --output FORMAT       Output format: text or json [default: text]
  -h, --help                Print this help

Exit codes:
  0  all images were resolved
  1  at least one image was not resolved
  2  invalid arguments or configuration
";

/// What `hint --help` prints.
pub(crate) const HINT_HELP: &str = "\
Announces pushed images to a controller, which checks them at once, and can wait for their workloads.

Usage: kube-autorollout hint [OPTIONS] IMAGE...

Options:
      --url URL          URL of a receiver, such as https://hints.example.org/hooks/ci [env: KUBE_AUTOROLLOUT_URL]
      --wait DURATION    Wait until all workloads run the images: an integer and s or m, up to 15m
      --token-file FILE  Path of a secret or token [env: KUBE_AUTOROLLOUT_TOKEN; else the job's token of GitHub Actions]
  -h, --help             Print this help

Exit codes:
  0  all workloads run the images; without --wait: the hint was accepted
  1  at least one workload does not run its image, no workload runs one, or the controller does not answer
  2  invalid arguments, or the hint was not accepted
  3  the time of --wait is over
";

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
    /// Not a length of time, or too long.
    #[error(
        "invalid value {0:?} for option '--wait'; allowed: an integer and s or m, from 1s to 15m"
    )]
    Wait(OsString),
    /// A command without an image.
    #[error("{0} requires at least one image")]
    NoImage(&'static str),
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
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_are_understood() {
        let run = |config: Option<&str>| {
            Ok(Command::Run {
                config: config.map(PathBuf::from),
            })
        };
        assert_eq!(parsed(&[]), run(None));
        assert_eq!(parsed(&["--config", "a.yaml"]), run(Some("a.yaml")));
        assert_eq!(parsed(&["--config=a.yaml"]), run(Some("a.yaml")));
        assert_eq!(parsed(&["--help"]), Ok(Command::Help(HELP)));
        assert_eq!(parsed(&["-V"]), Ok(Command::Version));
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(
            parsed(&["--confg"]),
            Err("invalid option '--confg'".to_owned())
        );
        assert_eq!(
            parsed(&["now"]),
            Err("unexpected argument \"now\"".to_owned())
        );
        let missing = parsed(&["--config"]).expect_err("it needs a value");
        assert!(missing.contains("--config"), "{missing}");
    }

    #[test]
    fn check_takes_images_and_options_in_any_order() {
        let check = |config: Option<&str>, docker_config: Option<&str>, output, images: &[&str]| {
            Ok(Command::Check {
                config: config.map(PathBuf::from),
                request: Request {
                    images: images.iter().map(|&image| image.to_owned()).collect(),
                    docker_config: docker_config.map(PathBuf::from),
                    output,
                },
            })
        };
        assert_eq!(
            parsed(&["check", "a"]),
            check(None, None, Output::Text, &["a"])
        );
        let all = [
            "--config",
            "c",
            "check",
            "a",
            "--output=json",
            "--docker-config",
            "d",
            "b",
        ];
        assert_eq!(
            parsed(&all),
            check(Some("c"), Some("d"), Output::Json, &["a", "b"])
        );
        assert_eq!(parsed(&["check", "--help"]), Ok(Command::Help(CHECK_HELP)));
        assert_eq!(
            parsed(&["check"]),
            Err("check requires at least one image".to_owned())
        );
        let yaml = parsed(&["check", "--output", "yaml", "a"]).expect_err("not offered");
        assert!(yaml.contains("yaml") && yaml.contains("json"), "{yaml}");
    }
}
