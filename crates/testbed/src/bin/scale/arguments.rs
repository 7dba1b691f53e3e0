//! What to measure.

use std::{ffi::OsString, fs, path::PathBuf, time::Duration};

use lexopt::{Arg, Error, Parser, ValueExt as _};

pub(super) const HELP: &str = "\
Measures kube-autorollout with many workloads on a control plane and a registry on this machine.

Usage: cargo bench-scale [OPTIONS]

  --workloads N        Deployments of one pod each (500)
  --tags N             tags that they are spread over (50)
  --latency MS         round trip to the registry in milliseconds (50)
  --interval S         seconds from check to check (20)
  --quiet S            how long the quiet phase is watched (120)
  --candidate PATH     another program, measured in the same way after ours
  --program PATH       this program in the place of our release build
  --steady             only the start-up and the quiet phase
  --json               figures for a machine
  --help
";

/// What to measure.
#[derive(Debug, Clone)]
pub(super) struct Arguments {
    pub(super) workloads: usize,
    pub(super) tags: usize,
    /// The round trip to the registry.
    pub(super) latency: Duration,
    /// From check to check.
    pub(super) interval: Duration,
    /// How long the quiet phase is.
    pub(super) quiet: Duration,
    /// Measured after ours.
    pub(super) candidate: Option<PathBuf>,
    /// Measured in the place of our release build.
    pub(super) program: Option<PathBuf>,
    /// Only the start-up and the quiet phase.
    pub(super) steady: bool,
    pub(super) json: bool,
}

impl Arguments {
    /// Reads the arguments; nothing for `--help`.
    pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let mut parser = Parser::from_args(arguments);
        let mut parsed = Self {
            workloads: 500,
            tags: 50,
            latency: Duration::from_millis(50),
            interval: Duration::from_secs(20),
            quiet: Duration::from_secs(120),
            candidate: None,
            program: None,
            steady: false,
            json: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("workloads") => parsed.workloads = at_least_one(&mut parser)?,
                Arg::Long("tags") => parsed.tags = at_least_one(&mut parser)?,
                Arg::Long("latency") => {
                    parsed.latency = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Long("interval") => {
                    parsed.interval = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("quiet") => parsed.quiet = Duration::from_secs(parser.value()?.parse()?),
                Arg::Long("candidate") => parsed.candidate = Some(program(&mut parser)?),
                Arg::Long("program") => parsed.program = Some(program(&mut parser)?),
                Arg::Long("steady") => parsed.steady = true,
                Arg::Long("json") => parsed.json = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(parsed))
    }
}

fn at_least_one(parser: &mut Parser) -> Result<usize, Error> {
    let number: std::num::NonZeroUsize = parser.value()?.parse()?;
    Ok(number.get())
}

/// The whole path of a program, as it is started in a folder of its own.
fn program(parser: &mut Parser) -> Result<PathBuf, Error> {
    let path = parser.value()?;
    fs::canonicalize(&path).map_err(|error| Error::Custom(Box::new(error)))
}
