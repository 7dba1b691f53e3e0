//! The arguments.

use std::{ffi::OsString, path::PathBuf, str::FromStr, time::Duration};

use kube_autorollout_testbed::{
    program::{Program, at_least_one, file},
    workload::Kind,
};
use lexopt::{Arg, Error, Parser, ValueExt as _};

/// This program.
pub(crate) const PROGRAM: Program = Program::new("bench", HELP);

const HELP: &str = "\
Measures kube-autorollout on a control plane and a registry on this machine.

Usage: bench [summary] [--json]     size, memory and speed: some minutes
       bench scale [OPTIONS]        many workloads, phase by phase; also: cargo bench-scale [OPTIONS]

  --workloads N        workloads of one pod each, or one on each of two nodes (500)
  --tags N             tags that they are spread over (50)
  --kinds LIST         their kinds: deployment,statefulset,daemonset or some of them (deployment)
  --copies             Deployments are copies of one, written past the API server: for thousands
  --latency MS         round trip to the registry in milliseconds (50)
  --interval S         seconds from check to check (20)
  --quiet S            how long the quiet phase is watched (120)
  --candidate PATH     another program, measured in the same way after ours
  --program PATH       this program in the place of our release build
  --phases LIST        what follows the start-up and the quiet phase, all or some of
                       status,one-tag,all-tags,attestations,labels,restart (all)
  --steady             nothing follows
  --brown-out          instead of the phases: as many workloads on each of two registries, of which one returns 503 for
                       six ticks, and then not at all; fails unless each tag of the other is checked in each tick
  --json               figures for a machine
  --help
";

/// A phase that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Status,
    OneTag,
    AllTags,
    Attestations,
    Labels,
    Restart,
}

impl Part {
    /// All parts by their names, in the order of a run.
    const ALL: [(&'static str, Self); 6] = [
        ("status", Self::Status),
        ("one-tag", Self::OneTag),
        ("all-tags", Self::AllTags),
        ("attestations", Self::Attestations),
        ("labels", Self::Labels),
        ("restart", Self::Restart),
    ];
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = Self::ALL.into_iter().find(|(name, _)| *name == text);
        part.map(|(_, part)| part)
            .ok_or_else(|| format!("there is no phase {text}"))
    }
}

/// The command.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// A few figures.
    Summary { json: bool },
    /// Many workloads.
    Scale(Box<Options>),
}

impl Command {
    /// Reads the arguments; nothing for `--help`.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let mut arguments = arguments.peekable();
        let command = arguments.next_if(|first| first == "summary" || first == "scale");
        let mut parser = Parser::from_args(arguments);
        if command.is_some_and(|command| command == "scale") {
            let options = Options::parse(&mut parser)?;
            return Ok(options.map(|options| Self::Scale(Box::new(options))));
        }
        let mut json = false;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("json") => json = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(Self::Summary { json }))
    }
}

/// The options of `bench scale`.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) workloads: usize,
    pub(crate) tags: usize,
    pub(crate) kinds: Vec<Kind>,
    /// Whether Deployments are copies of one.
    pub(crate) copies: bool,
    /// The round trip to the registry.
    pub(crate) latency: Duration,
    /// From check to check.
    pub(crate) interval: Duration,
    /// How long the quiet phase is.
    pub(crate) quiet: Duration,
    /// Measured after ours.
    pub(crate) candidate: Option<PathBuf>,
    /// Measured in the place of our release build.
    pub(crate) program: Option<PathBuf>,
    /// What follows the start-up and the quiet phase.
    pub(crate) phases: Vec<Part>,
    /// Two registries, one of which does not respond, instead of all phases.
    pub(crate) brown_out: bool,
    pub(crate) json: bool,
}

impl Options {
    fn parse(parser: &mut Parser) -> Result<Option<Self>, Error> {
        let mut parsed = Self {
            workloads: 500,
            tags: 50,
            kinds: vec![Kind::Deployment],
            copies: false,
            latency: Duration::from_millis(50),
            interval: Duration::from_secs(20),
            quiet: Duration::from_secs(120),
            candidate: None,
            program: None,
            phases: Part::ALL.map(|(_, part)| part).to_vec(),
            brown_out: false,
            json: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("workloads") => parsed.workloads = at_least_one(parser)?,
                Arg::Long("tags") => parsed.tags = at_least_one(parser)?,
                Arg::Long("kinds") => parsed.kinds = list(parser)?,
                Arg::Long("copies") => parsed.copies = true,
                Arg::Long("latency") => {
                    parsed.latency = Duration::from_millis(parser.value()?.parse()?);
                }
                Arg::Long("interval") => {
                    parsed.interval = Duration::from_secs(parser.value()?.parse()?);
                }
                Arg::Long("quiet") => parsed.quiet = Duration::from_secs(parser.value()?.parse()?),
                Arg::Long("candidate") => parsed.candidate = Some(file(parser)?),
                Arg::Long("program") => parsed.program = Some(file(parser)?),
                Arg::Long("steady") => parsed.phases.clear(),
                Arg::Long("phases") => parsed.phases = list(parser)?,
                Arg::Long("brown-out") => parsed.brown_out = true,
                Arg::Long("json") => parsed.json = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(parsed))
    }
}

/// Words with commas between them.
fn list<T: FromStr>(parser: &mut Parser) -> Result<Vec<T>, Error>
where
    T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let words = parser.value()?.string()?;
    let word = |word: &str| {
        word.parse()
            .map_err(|error: T::Err| Error::Custom(error.into()))
    };
    words.split(',').map(word).collect()
}
