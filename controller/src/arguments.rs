//! The command line.

use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Rolls Kubernetes workloads out when the image behind their unchanged tag has changed.

Usage: kube-autorollout [OPTIONS]

Options:
      --config FILE  The configuration; the environment variable CONFIG_FILE does the same
  -h, --help         Print this help
  -V, --version      Print the version

Exit codes: 0 asked to stop, 1 failed, 2 bad usage or configuration.
";

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Run the controller.
    Run {
        /// Given with `--config`.
        config: Option<PathBuf>,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
///
/// When one of them is not known, or lacks its value.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Command, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    let mut config = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Long("config") => config = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run { config })
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
        assert_eq!(parsed(&["--help"]), Ok(Command::Help));
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
}
