//! The report of a run.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use super::{
    error::Error,
    history::{History, Name},
    judge::{self, Verdict},
    plan::Plan,
    settle::Settled,
    world::World,
};
use crate::controller::Controller;

/// How many lines of the controller's log are shown of a workload that is not at rest.
const LINES: usize = 6;

/// The metric that counts workloads by their states.
const STATES: &str = "kube_autorollout_workloads";

/// A run, judged.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed of its plan.
    pub seed: u64,
    /// The verdict of the judge.
    pub verdict: Verdict,
    /// How long it took from the last fault until everything was at rest; nothing when it did not get there.
    pub settled: Option<Duration>,
    /// How many faults of each sort there were.
    pub faults: BTreeMap<String, usize>,
    /// How many workloads there were, and how many of them were to run in the end what their tags name.
    pub workloads: [usize; 2],
    /// How many pushes there were, with those that made the tags.
    pub pushes: usize,
    /// How many patches the controller sent, and the API server took.
    pub patches: usize,
    /// How many patches the API server refused, as the workload had changed.
    pub conflicts: usize,
    /// How many watches the controller began.
    pub watches: usize,
    /// The lines of the controller's log of the level ERROR: what fails outside is a warning.
    pub errors: Vec<String>,
    /// The resident memory of each replica in the end, in bytes.
    pub memory: Vec<u64>,
    /// The controller's log lines about violated workloads, and where the logs are.
    pub evidence: Vec<String>,
}

impl Report {
    /// Whether there was no violation, no error, and everything settled.
    pub fn is_fine(&self) -> bool {
        self.verdict.violations.is_empty() && self.settled.is_some() && self.errors.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [all, ours] = self.workloads;
        writeln!(formatter, "seed {}", self.seed)?;
        writeln!(
            formatter,
            "  workloads: {all}, of which {ours} have to run in the end what their tags name"
        )?;
        for (fault, count) in &self.faults {
            writeln!(formatter, "  {count:5} x {fault}")?;
        }
        writeln!(
            formatter,
            "  pushes: {}, patches: {} ({} overtaken on their way, {} further attempts), conflicts: {}, watches begun: {}",
            self.pushes,
            self.patches,
            self.verdict.raced,
            self.verdict.repeated,
            self.conflicts,
            self.watches
        )?;
        let memory = self
            .memory
            .iter()
            .map(|bytes| format!("{} KiB", bytes / 1024));
        writeln!(
            formatter,
            "  resident in the end: {}",
            memory.collect::<Vec<_>>().join(", ")
        )?;
        if self.verdict.pinned > 0 {
            writeln!(
                formatter,
                "  containers that ran the digest they were pinned to: {}",
                self.verdict.pinned
            )?;
        }
        match self.settled {
            Some(took) => writeln!(
                formatter,
                "  at rest {:.1} s after the last fault",
                took.as_secs_f64()
            )?,
            None => writeln!(formatter, "  NOT AT REST")?,
        }
        for line in self.errors.iter().take(LINES) {
            writeln!(
                formatter,
                "  {} errors in the log: {line}",
                self.errors.len()
            )?;
        }
        for violation in &self.verdict.violations {
            writeln!(formatter, "  VIOLATION: {violation}")?;
        }
        for line in &self.evidence {
            writeln!(formatter, "  {line}")?;
        }
        Ok(())
    }
}

/// Judges the run.
pub(super) async fn report(
    world: &World<'_>,
    plan: &Plan,
    settled: Settled,
) -> Result<Report, Error> {
    let history = world.history().await?;
    let mut verdict = judge::judge(&history);
    for left in settled.left {
        if !verdict.violations.contains(&left) {
            verdict.violations.push(left);
        }
    }
    let asked = world.asked()?;
    let count = |verb: &str, code: u16| {
        let these = asked.iter();
        these
            .filter(|request| request.verb == verb && request.code == code)
            .count()
    };
    let mut memory = Vec::new();
    for replica in &world.replicas {
        memory.push(replica.resident_memory()?);
    }
    let wanted = |history: &History| {
        let subjects = history.subjects.iter();
        subjects.filter(|subject| subject.has_to_run()).count()
    };
    let evidence = if verdict.violations.is_empty() && settled.took.is_some() {
        Vec::new()
    } else {
        evidence(world, &verdict).await
    };
    Ok(Report {
        seed: plan.seed,
        settled: settled.took,
        faults: world.notes.content().faults.clone(),
        workloads: [history.subjects.len(), wanted(&history)],
        pushes: history.moves.len(),
        patches: history.patches.len(),
        conflicts: count("patch", 409),
        watches: count("watch", 200),
        errors: world
            .logs()
            .iter()
            .flat_map(|log| log.lines())
            .filter(|line| line.contains(" ERROR "))
            .map(str::to_owned)
            .collect(),
        memory,
        evidence,
        verdict,
    })
}

/// The log lines and metrics in which to look for the cause.
async fn evidence(world: &World<'_>, verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    for replica in &world.replicas {
        // A replica that does not respond is left out
        let metrics = replica.metrics().await;
        let states = metrics
            .iter()
            .flat_map(|metrics| metrics.lines(STATES, &[]));
        lines.extend(
            states
                .filter(|line| !line.ends_with(" 0"))
                .map(str::to_owned),
        );
    }
    let violations = verdict.violations.iter();
    let mut names: Vec<&Name> = violations.map(|found| &found.name).collect();
    names.sort();
    names.dedup();
    let logs = world.logs();
    for name in names {
        lines.push(format!("{name}, by the logs of both replicas:"));
        let its = format!("{}/{} ", name.namespace, name.name);
        for log in &logs {
            let of_it: Vec<&str> = log.lines().filter(|line| line.contains(&its)).collect();
            let start = of_it.len().saturating_sub(LINES);
            lines.extend(
                of_it
                    .get(start..)
                    .unwrap_or_default()
                    .iter()
                    .map(|line| format!("  {line}")),
            );
        }
    }
    let kept = |path: PathBuf| format!("logs are kept in {}", path.display());
    world.replicas.iter().for_each(Controller::keep_log);
    lines.extend(world.replicas.iter().map(|replica| kept(replica.log())));
    lines.extend(world.testbed.keep_logs().map(kept));
    lines
}
