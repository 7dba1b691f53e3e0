//! What pods ran, compared with the pins of their templates.

use std::collections::BTreeSet;

use super::{Finding, Violation, runs::Runs};
use crate::chaos::history::{History, Run, Subject};

/// The verdict on pins.
pub(super) struct Pinned {
    /// How many containers ran what they were pinned to.
    pub(super) runs: usize,
    pub(super) violations: Vec<Finding>,
}

/// Whether pods with a pin ran the digest that was rolled out to their template, and none ran another one. An image that
/// admission changed before it could be pinned is left out: its pin begins with another one.
pub(super) fn pinned<'a>(history: &'a History, runs: &Runs<'a>) -> Pinned {
    let mut pinned = Pinned {
        runs: 0,
        violations: Vec::new(),
    };
    for subject in history.subjects.iter().filter(|one| one.rolls) {
        let rolled_out: BTreeSet<_> = rolled_out(history, subject).collect();
        for run in subject
            .tags
            .keys()
            .flat_map(|name| runs.of_container(subject, name))
        {
            match outcome(history, subject, &rolled_out, run) {
                Some(true) => pinned.runs += 1,
                Some(false) => pinned.violations.push(Finding {
                    name: subject.name.clone(),
                    at: Some(run.from),
                    violation: Violation::NotPinned {
                        container: run.container.clone(),
                        image: run.image.clone(),
                    },
                }),
                None => {}
            }
        }
    }
    pinned
}

/// Each pin that was written for a workload: the container, and the image with its digest. An API server that stops answers
/// some patches with an error that it has taken.
fn rolled_out<'a>(
    history: &'a History,
    subject: &'a Subject,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let patches = history.patches.iter().chain(&history.failed);
    let its = patches.filter(|patch| patch.name == subject.name);
    let pins = its.flat_map(|patch| &patch.pins);
    pins.map(|(container, pin)| (container.as_str(), pin.as_str()))
}

/// Whether a container ran what it was pinned to; nothing where it could not be pinned.
fn outcome(
    history: &History,
    subject: &Subject,
    rolled_out: &BTreeSet<(&str, &str)>,
    run: &Run,
) -> Option<bool> {
    let pin = run.pin.as_deref()?;
    let (image, digest) = pin.rsplit_once('@')?;
    let Some((_, ran)) = run.image.rsplit_once('@') else {
        return (run.image == image).then_some(false);
    };
    let mut moves = history.moves.iter();
    let is_its_image = moves.any(|moved| moved.digest == digest && moved.config == run.config);
    let is_rolled_out = rolled_out.contains(&(run.container.as_str(), pin))
        || may_be_rolled_out(history, subject, run, digest);
    Some(ran == digest && is_its_image && is_rolled_out)
}

/// Whether a patch without a response may have written this digest: the registry had given it for the tag before.
fn may_be_rolled_out(history: &History, subject: &Subject, run: &Run, digest: &str) -> bool {
    let workload = format!("{}/{}", subject.name.namespace, subject.name.name);
    let Some(tag) = subject.tags.get(&run.container) else {
        return false;
    };
    let unanswered = history.unanswered.iter();
    let mut its =
        unanswered.filter(|patch| patch.workload == workload && patch.at <= run.pod_since);
    its.any(|patch| {
        let mut answers = history.answers.iter();
        answers.any(|answer| answer.tag == *tag && answer.digest == digest && answer.at <= patch.at)
    })
}
