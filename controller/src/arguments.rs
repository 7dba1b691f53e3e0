//! The command line.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt as _};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Rolls Kubernetes workloads out when the image behind their unchanged tag has changed.

Usage: kube-autorollout [OPTIONS]
       kube-autorollout check [OPTIONS] IMAGE...

Commands:
  check              Ask registries for images as the controller does; check --help tells more

Options:
      --config FILE  The configuration; the environment variable CONFIG_FILE does the same
  -h, --help         Print this help
  -V, --version      Print the version

Exit codes: 0 asked to stop, 1 failed, 2 bad usage or configuration.
";

/// What `check --help` prints.
pub(crate) const CHECK_HELP: &str = "\
Asks registries for images as the controller does, and prints what they answer. No cluster is needed.

Usage: kube-autorollout check [OPTIONS] IMAGE...

Options:
      --config FILE         The configuration; the environment variable CONFIG_FILE does the same
      --docker-config FILE  A .dockerconfigjson, as of a pull Secret: tried before what is configured
      --output FORMAT       text or json [default: text]
  -h, --help                Print this help

Exit codes: 0 all images resolved, 1 at least one did not, 2 bad usage or configuration.
";

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the controller.
    Run {
        /// Given with `--config`.
        config: Option<PathBuf>,
    },
    /// Ask registries for images.
    Check {
        /// Given with `--config`.
        config: Option<PathBuf>,
        /// What to ask for, and how to tell.
        request: Request,
    },
    /// Print a help.
    Help(&'static str),
    /// Print the version.
    Version,
}

/// What `check` is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The images, at least one.
    pub(crate) images: Vec<String>,
    /// Given with `--docker-config`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Given with `--output`.
    pub(crate) output: Output,
}

/// How `check` tells what it found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Why the arguments cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// One of them is not known, or lacks its value.
    #[error(transparent)]
    Argument(#[from] lexopt::Error),
    /// There is no such output.
    #[error("invalid value {0:?} for option '--output'; allowed: text or json")]
    Output(OsString),
    /// `check` without an image.
    #[error("check needs at least one image")]
    NoImage,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
///
/// [`Error`] when they cannot be followed.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Error> {
    let mut parser = Parser::from_args(arguments);
    let mut config = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(HELP)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("config") => config = Some(parser.value()?.into()),
            Arg::Value(command) if command == "check" => return check(parser, config),
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
        return Err(Error::NoImage);
    }
    Ok(Command::Check { config, request })
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
            Err("check needs at least one image".to_owned())
        );
        let yaml = parsed(&["check", "--output", "yaml", "a"]).expect_err("not offered");
        assert!(yaml.contains("yaml") && yaml.contains("json"), "{yaml}");
    }
}
