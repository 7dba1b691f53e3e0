//! The arguments.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use kube_autorollout_testbed::{
    chaos::Scale,
    program::{at_least_one, file},
};
use lexopt::{Arg, Error, Parser, ValueExt as _};

pub(super) const HELP: &str = "\
Leads many workloads through faults that a seed draws, and judges what kube-autorollout made of it.

Usage: cargo chaos [OPTIONS] [SEED]

  --workloads N        Deployments, StatefulSets and DaemonSets in three namespaces (300)
  --tags N             tags that they are spread over (60)
  --faults S           for how many seconds there are faults (600)
  --interval S         seconds from check to check (5)
  --pins               with pinning.enabled and its policy: no pod may run a digest that was not rolled out to it
  --short              as in the tests: 60 workloads, a minute of faults
  --plan               only prints what would be done
  --program PATH       this program in the place of our release build
  --help

The same seed and options make the same plan. Without a seed: 1.
";

/// The arguments.
#[derive(Debug, Clone)]
pub(super) struct Arguments {
    pub(super) seed: u64,
    pub(super) scale: Scale,
    /// Only print the plan.
    pub(super) plan: bool,
    /// Run in the place of our release build.
    pub(super) program: Option<PathBuf>,
}

impl Arguments {
    /// Reads the arguments; nothing for `--help`.
    pub(super) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let mut parser = Parser::from_args(arguments);
        let mut parsed = Self {
            seed: 1,
            scale: Scale::LONG,
            plan: false,
            program: None,
        };
        while let Some(argument) = parser.next()? {
            let scale = &mut parsed.scale;
            match argument {
                Arg::Long("workloads") => scale.workloads = at_least_one(&mut parser)?,
                Arg::Long("tags") => scale.tags = at_least_one(&mut parser)?,
                Arg::Long("faults") => scale.faults = Duration::from_secs(parser.value()?.parse()?),
                Arg::Long("interval") => {
                    scale.interval = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("pins") => scale.pins = true,
                Arg::Long("short") => {
                    *scale = Scale {
                        pins: scale.pins,
                        ..Scale::SHORT
                    };
                }
                Arg::Long("plan") => parsed.plan = true,
                Arg::Long("program") => parsed.program = Some(file(&mut parser)?),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Value(seed) => parsed.seed = seed.parse()?,
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(parsed))
    }
}
