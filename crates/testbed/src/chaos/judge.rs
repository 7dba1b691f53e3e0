//! Compares the log of patches with the log of pushes, and what runs in the end with what the tags name.
//!
//! Races that cannot be avoided are allowed within bounds: a tag can move, and a pod can be replaced, between a request and the
//! patch that rests on its response. The bounds are two constants of `judge::case`, and how often they were needed is
//! [`Verdict::raced`].

mod case;
mod end;
mod pins;
mod runs;
mod violation;

use std::collections::{BTreeMap, BTreeSet};

use super::history::{History, Name, Patch, Subject};
use case::Case;
use runs::Runs;

pub use end::{outdated, stale};
pub use violation::{Finding, Violation};

/// The verdict on a history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Violations of promises.
    pub violations: Vec<Finding>,
    /// How many patches were overtaken by a move of the tag or by a new pod.
    pub raced: usize,
    /// How many patches rolled a digest out again, as they may.
    pub repeated: usize,
    /// How many containers ran a digest that they were pinned to.
    pub pinned: usize,
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
    let mut rolled: BTreeMap<&Name, &Patch> = BTreeMap::new();
    for patch in &history.patches {
        let Some(subject) = subjects.get(&patch.name) else {
            verdict.violations.push(Finding {
                name: patch.name.clone(),
                at: Some(patch.at),
                violation: Violation::Stranger,
            });
            continue;
        };
        let case = Case {
            history,
            runs: &runs,
            subject,
            patch,
            before: rolled.insert(&patch.name, patch),
        };
        match case.judge(&mut served) {
            Ok(outcome) => {
                verdict.raced += usize::from(outcome.raced);
                verdict.repeated += usize::from(outcome.repeated);
            }
            Err(violation) => verdict.violations.push(Finding {
                name: patch.name.clone(),
                at: Some(patch.at),
                violation,
            }),
        }
    }
    let pinned = pins::pinned(history, &runs);
    verdict.pinned = pinned.runs;
    verdict.violations.extend(pinned.violations);
    verdict.violations.extend(stale(history));
    verdict.violations.extend(outdated(history));
    verdict
}

#[cfg(test)]
mod tests;
