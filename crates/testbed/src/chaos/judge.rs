//! Holds the log of patches against the log of pushes, and what runs in the end against what the tags name.
//!
//! Some room is left for what nobody can avoid: a tag can move, and a pod can be replaced, between a question and the
//! patch that rests on the answer. How much room is said by two constants, and how often it was needed by
//! [`Verdict::raced`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::history::{History, Move, Name, Patch, Run, Subject};

/// How old the registry's answer may be on which a patch rests: ten seconds by the design, and as much again for reading
/// pods and for the way of the patch on a busy machine.
const ANSWER_AGE: SignedDuration = SignedDuration::from_secs(20);

/// How long before the patch the pods may have been read on which it rests.
const PODS_AGE: SignedDuration = SignedDuration::from_secs(10);

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A patch to a digest that the tag never had.
    #[error("{name} was patched at {at} to {digest} for {container}, which its tag never named")]
    NeverPushed {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
        /// The digest.
        digest: String,
    },
    /// A patch to digests that the registry has not told lately.
    #[error("{name} was patched at {at} to what the registry had not told lately")]
    NotTold {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A patch although all pods ran what the tag names.
    #[error("{name} was patched at {at} although no pod ran anything but what its tag names")]
    NoDifference {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A second patch for the same move of a tag.
    #[error("{name} was patched at {at} again although no tag of its has moved since")]
    Twice {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A patch that the workload's owner had ruled out.
    #[error("{name} was patched at {at} although its owner did not want that")]
    Unwanted {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A patch of something that is none of ours.
    #[error("{name} was patched at {at} and is no workload of this run")]
    Stranger {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A selected workload that in the end does not run what its tag names.
    #[error(
        "{name} does not run what its tag names in the end: {ready} of {pods} pods do in {container}, and {others} run another image"
    )]
    Stale {
        /// The workload.
        name: Name,
        /// The container.
        container: String,
        /// How many pods there should be.
        pods: usize,
        /// How many run what the tag names.
        ready: usize,
        /// How many run something else.
        others: usize,
    },
}

impl Violation {
    /// The workload that it is about.
    pub const fn name(&self) -> &Name {
        match self {
            Self::NeverPushed { name, .. }
            | Self::NotTold { name, .. }
            | Self::NoDifference { name, .. }
            | Self::Twice { name, .. }
            | Self::Unwanted { name, .. }
            | Self::Stranger { name, .. }
            | Self::Stale { name, .. } => name,
        }
    }
}

/// What is to be said of a history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// What must not be.
    pub violations: Vec<Violation>,
    /// How many patches were overtaken by a move of the tag or by a new pod while they were on their way.
    pub raced: usize,
}

/// Judges a history.
pub fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let subjects: BTreeMap<&Name, &Subject> = history
        .subjects
        .iter()
        .map(|subject| (&subject.name, subject))
        .collect();
    let runs = Runs::of(history.runs.iter());
    let mut served = BTreeSet::new();
    for patch in &history.patches {
        let Some(subject) = subjects.get(&patch.name) else {
            verdict.violations.push(Violation::Stranger {
                name: patch.name.clone(),
                at: patch.at,
            });
            continue;
        };
        let case = Case {
            history,
            runs: &runs,
            subject,
            patch,
        };
        match case.judge(&mut served) {
            Ok(raced) => verdict.raced += usize::from(raced),
            Err(violation) => verdict.violations.push(*violation),
        }
    }
    verdict.violations.extend(stale(history));
    verdict
}

/// The workloads that do not run in the end what their tags name, although they should.
pub fn stale(history: &History) -> Vec<Violation> {
    let runs = Runs::of(history.runs.iter().filter(|run| run.to.is_none()));
    let named: BTreeMap<&str, &str> = history
        .moves
        .iter()
        .map(|moved| (moved.tag.as_str(), moved.config.as_str()))
        .collect();
    let mut violations = Vec::new();
    for subject in history.subjects.iter().filter(|one| one.has_to_run()) {
        for (container, tag) in &subject.tags {
            let wanted = named.get(tag.as_str()).copied();
            let (ready, others): (Vec<&Run>, Vec<&Run>) = runs
                .of_container(subject, container)
                .into_iter()
                .partition(|run| Some(run.config.as_str()) == wanted);
            if ready.len() != subject.pods || !others.is_empty() {
                violations.push(Violation::Stale {
                    name: subject.name.clone(),
                    container: container.clone(),
                    pods: subject.pods,
                    ready: ready.len(),
                    others: others.len(),
                });
            }
        }
    }
    violations
}

/// What ran, by the namespaces and names of workloads.
struct Runs<'a>(BTreeMap<(&'a str, &'a str), Vec<&'a Run>>);

impl<'a> Runs<'a> {
    fn of(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut index: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for run in runs {
            let workload = (run.namespace.as_str(), run.workload.as_str());
            index.entry(workload).or_default().push(run);
        }
        Self(index)
    }

    fn of_container(&self, subject: &Subject, container: &str) -> Vec<&'a Run> {
        let name = &subject.name;
        let found = self.0.get(&(name.namespace.as_str(), name.name.as_str()));
        let runs = found.into_iter().flatten().copied();
        runs.filter(|run| run.container == container).collect()
    }
}

/// A patch and what there is to be known of it.
struct Case<'a> {
    history: &'a History,
    runs: &'a Runs<'a>,
    subject: &'a Subject,
    patch: &'a Patch,
}

/// What a patch was for: the move of a tag, by its place in the history.
type Served<'a> = (&'a Name, &'a str, usize);

impl<'a> Case<'a> {
    /// Whether it was overtaken on its way, if there is nothing to say against it. What it was for is noted in `served`.
    fn judge(&self, served: &mut BTreeSet<Served<'a>>) -> Result<bool, Box<Violation>> {
        let (name, at) = (self.patch.name.clone(), self.patch.at);
        if !self.subject.rolls || self.is_ruled_out() {
            return Err(Box::new(Violation::Unwanted { name, at }));
        }
        let mut news = Vec::new();
        for (container, digest) in &self.patch.record {
            let (place, moved) = self.moved(container, digest)?;
            if served.insert((&self.patch.name, container, place)) {
                news.push((container, moved));
            }
        }
        if news.is_empty() {
            return Err(Box::new(Violation::Twice { name, at }));
        }
        // One container is enough to justify a patch; the entries of the others are kept, and say nothing new.
        news.retain(|(_, moved)| self.is_told(moved));
        if news.is_empty() {
            return Err(Box::new(Violation::NotTold { name, at }));
        }
        let differs = |since| {
            let mut news = news.iter();
            news.any(|(container, moved)| self.differs(container, moved, since))
        };
        if !differs(at - PODS_AGE) {
            return Err(Box::new(Violation::NoDifference { name, at }));
        }
        Ok(!differs(at) || !news.iter().any(|(_, moved)| self.is_named(moved)))
    }

    /// Whether the owner did not want it at that moment, for certain.
    fn is_ruled_out(&self) -> bool {
        let past = self
            .subject
            .changes
            .iter()
            .take_while(|(span, _)| span.done < self.patch.at);
        let settled = past.last().map_or(self.subject.wish, |(_, wish)| *wish);
        let mut under_way = self
            .subject
            .changes
            .iter()
            .filter(|(span, _)| span.begun <= self.patch.at && span.done >= self.patch.at);
        !settled.allows_rollouts() && !under_way.any(|(_, wish)| wish.allows_rollouts())
    }

    /// The last move of a container's tag to this digest until then.
    fn moved(&self, container: &str, digest: &str) -> Result<(usize, &'a Move), Box<Violation>> {
        let tag = self.subject.tags.get(container);
        let moves = self.history.moves.iter().enumerate();
        let until_then = moves
            .filter(|(_, moved)| Some(&moved.tag) == tag)
            .take_while(|(_, moved)| moved.span.begun <= self.patch.at)
            .filter(|(_, moved)| moved.digest == digest);
        until_then.last().ok_or_else(|| {
            Box::new(Violation::NeverPushed {
                name: self.patch.name.clone(),
                at: self.patch.at,
                container: container.to_owned(),
                digest: digest.to_owned(),
            })
        })
    }

    /// Whether the registry has told of it a short time ago.
    fn is_told(&self, moved: &Move) -> bool {
        let recent = self.patch.at - ANSWER_AGE..=self.patch.at;
        let mut answers = self.history.answers.iter();
        answers.any(|answer| {
            answer.tag == moved.tag && answer.digest == moved.digest && recent.contains(&answer.at)
        })
    }

    /// Whether a pod ran something else between `since` and the patch.
    fn differs(&self, container: &str, moved: &Move, since: Timestamp) -> bool {
        let mut runs = self
            .runs
            .of_container(self.subject, container)
            .into_iter()
            .filter(|run| run.from <= self.patch.at && run.to.is_none_or(|to| to >= since));
        runs.any(|run| run.config != moved.config)
    }

    /// Whether the tag surely named it at the moment of the patch.
    fn is_named(&self, moved: &Move) -> bool {
        let mut later = self
            .history
            .moves
            .iter()
            .filter(|other| other.tag == moved.tag && other.span.begun > moved.span.begun);
        later.all(|other| other.span.begun > self.patch.at)
    }
}

#[cfg(test)]
mod tests;
