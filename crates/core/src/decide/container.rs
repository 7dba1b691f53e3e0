//! What follows from one container, whatever the others do.

use std::time::Duration;

use jiff::Timestamp;

use super::{Container, Observed, Policy, Running, limits};
use crate::{Digest, compare::Verdict, record::Change, state::Reason};

/// How long a rollout that only this process remembers keeps the same digest from being rolled out again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// Where a container stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not checked.
    Skipped(Reason),
    /// It cannot be known.
    Unknown(Reason),
    /// Some pod runs something else than the tag means.
    Stale,
    /// Every pod runs what the tag means, as far as it has started.
    Current(Reason),
    /// No pod has started it.
    NotStarted,
}

/// A container with what follows from it.
pub(super) struct Finding<'a> {
    container: &'a Container,
    observed: &'a Observed,
    outcome: Outcome,
    /// The digest behind the tag was rolled out before.
    guarded: bool,
    /// That is to be repeated, at once or later.
    retry: Option<Retry>,
}

/// When a rollout that is over, and whose pods run another image, is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Now,
    At(Timestamp),
}

/// What follows from each container, by name.
pub(super) fn findings<'a>(
    observed: &'a Observed,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Finding<'a>> {
    let finding = |container| Finding::new(container, observed, policy, now);
    let mut findings: Vec<Finding<'_>> = observed.containers.iter().map(finding).collect();
    findings.sort_by(|a, b| a.name().cmp(b.name()));
    findings
}

impl<'a> Finding<'a> {
    fn new(
        container: &'a Container,
        observed: &'a Observed,
        policy: &Policy,
        now: Timestamp,
    ) -> Self {
        let outcome = outcome(container, observed);
        Self {
            container,
            observed,
            outcome,
            guarded: is_guarded(container, observed, now),
            retry: (outcome == Outcome::Stale)
                .then(|| retry(container, observed, policy, now))
                .flatten(),
        }
    }

    pub(super) fn name(&self) -> &'a str {
        &self.container.name
    }

    pub(super) const fn outcome(&self) -> Outcome {
        self.outcome
    }

    pub(super) fn is_stale(&self) -> bool {
        self.outcome == Outcome::Stale
    }

    /// Whether new pods might run another image than the present ones.
    pub(super) fn may_change(&self) -> bool {
        self.is_candidate() || matches!(self.outcome, Outcome::Unknown(_))
    }

    /// Since when its tag names what it was last known to name.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.container.since
    }

    /// Whether a rollout would bring it up to date and has not been tried, or is to be tried again.
    pub(super) fn is_candidate(&self) -> bool {
        self.is_stale() && (!self.guarded || self.retry == Some(Retry::Now))
    }

    /// Whether a rollout would bring back what somebody went back from.
    pub(super) fn is_rolled_back(&self) -> bool {
        self.is_stale() && self.container.rolled_back
    }

    /// Whether some pod of it is not pinned that should be.
    pub(super) fn is_not_pinned(&self) -> bool {
        self.container.pinned == Some(false)
    }

    /// When it is to be rolled out again, if that is yet to come.
    pub(super) fn retry(&self) -> Option<Timestamp> {
        match self.retry? {
            Retry::Now => None,
            Retry::At(instant) => Some(instant),
        }
    }

    /// Whether it keeps a rollout in flight from ever being complete.
    pub(super) fn is_stuck(&self) -> bool {
        self.container.pods.iter().any(|pod| pod.waiting.is_some())
    }

    /// Whether its image cannot be had, so that new pods could not start. Any error that says so is enough: one that
    /// does not, in another pod, must not hide it.
    pub(super) fn blocks_new_pods(&self) -> bool {
        let tag = self.container.tag.as_ref().err().copied();
        let pods = self.container.pods.iter().filter(|pod| pod.names_tag);
        let pods = || pods.clone().map(|pod| pod.verdict);
        let reasons = tag.into_iter().chain(pods().filter_map(Verdict::doubt));
        matches!(self.outcome, Outcome::Unknown(_))
            && (pods().any(|verdict| matches!(verdict, Verdict::CannotStart(_)))
                || reasons.into_iter().any(Reason::blocks_new_pods))
    }

    /// Why its pods do not run the digest although it was rolled out; or, if the tag has moved on since, although pods that
    /// wait pull it at each attempt.
    pub(super) fn evidence(&self) -> Option<Reason> {
        let rolled_out = self.guarded || self.has_record();
        if !rolled_out || matches!(self.outcome, Outcome::Skipped(_)) {
            return None;
        }
        if let Some(waiting) = self
            .container
            .pods
            .iter()
            .filter_map(|pod| pod.waiting)
            .min()
        {
            return Some(waiting.reason());
        }
        if self.observed.deadline_exceeded {
            return Some(Reason::ProgressDeadlineExceeded);
        }
        let over = self.guarded && self.is_stale() && !self.observed.is_in_flight();
        let pods = self.container.pods.iter();
        let left = pods.filter(|pod| over && is_left(pod, self.observed));
        let pulls = left.map(|pod| pod.pulls_always).min()?;
        Some(if pulls {
            Reason::RuntimeReportsAlias
        } else {
            Reason::PullPolicy
        })
    }

    /// Whether it was rolled out to some digest, and what its tag names now is known, or is not asked as there is no pod.
    fn has_record(&self) -> bool {
        let is_known = self.container.tag.is_ok() || self.container.pods.is_empty();
        is_known && recorded(self.container, self.observed).is_some()
    }

    /// The image that its template names.
    pub(super) fn image(&self) -> &'a str {
        &self.container.image
    }

    /// The digest that new pods are to run of it: what its tag names, if that is sure to be what it is rolled out to or runs
    /// now, else what it is pinned to already.
    pub(super) fn pin(&self) -> Option<Digest> {
        if self.container.filled_in {
            return None;
        }
        let tag = self.container.tag.as_ref().ok();
        let present = || self.observed.pins.digest(self.name(), self.image());
        match self.outcome {
            Outcome::Stale | Outcome::Current(_) | Outcome::NotStarted => {
                tag.cloned().or_else(present)
            }
            Outcome::Unknown(_) => present().or_else(|| tag.cloned()),
            Outcome::Skipped(_) if self.container.exempt.is_some() => None,
            Outcome::Skipped(_) => present(),
        }
    }

    /// Its part of a rollout.
    pub(super) fn change(&self) -> Option<Change> {
        let to = self.container.tag.clone().ok()?;
        let stale = self
            .container
            .pods
            .iter()
            .filter(|pod| pod.verdict == Verdict::Stale);
        let from = stale
            .filter_map(|pod| pod.digest.as_ref())
            .min_by(|a, b| a.as_ref().cmp(b.as_ref()));
        Some(Change {
            container: self.container.name.clone(),
            from: from.cloned(),
            to,
        })
    }
}

fn outcome(container: &Container, observed: &Observed) -> Outcome {
    if let Some(exempt) = container.exempt {
        return Outcome::Skipped(exempt.reason());
    }
    let compared = match container.tag {
        Ok(_) => compared(&container.pods),
        Err(reason) => Outcome::Unknown(reason),
    };
    // A restart does not pull under another policy, unless we find that it was tried: then it is said that it failed.
    let tried =
        compared == Outcome::Stale && recorded(container, observed) == container.tag.as_ref().ok();
    if !tried && container.pods.iter().any(|pod| !pod.pulls_always) {
        return Outcome::Skipped(Reason::PullPolicy);
    }
    compared
}

/// What the verdicts of all pods amount to.
fn compared(pods: &[Running]) -> Outcome {
    let verdicts = || pods.iter().map(|pod| pod.verdict);
    let current = verdicts().filter_map(|verdict| match verdict {
        Verdict::Current(reason) => Some(reason),
        _ => None,
    });
    let no_image = Verdict::CannotStart(Reason::UnsupportedMediaType);
    let new = || {
        pods.iter()
            .filter(|pod| pod.names_tag)
            .map(|pod| pod.verdict)
    };
    if new().any(|verdict| verdict == no_image) {
        Outcome::Unknown(Reason::UnsupportedMediaType) // no pod that a rollout brings could start
    } else if verdicts().any(|verdict| verdict == Verdict::Stale) {
        // Pods of another image show nothing about the digest that is to be rolled out.
        let is_known = |verdict| matches!(verdict, Verdict::Current(_) | Verdict::Stale);
        let doubt = new().filter_map(Verdict::doubt).min();
        match doubt.filter(|_| !new().any(is_known)) {
            Some(reason) => Outcome::Unknown(reason),
            None => Outcome::Stale,
        }
    } else if let Some(reason) = verdicts().filter_map(Verdict::doubt).min() {
        Outcome::Unknown(reason)
    } else if let Some(reason) = current.max() {
        Outcome::Current(reason)
    } else {
        Outcome::NotStarted
    }
}

/// Whether a rollout that is over has left a pod running another image, as opposed to one that is only starting.
fn is_left(pod: &Running, observed: &Observed) -> bool {
    pod.verdict == Verdict::Stale && (pod.ready || observed.deadline_exceeded)
}

/// When the digest that is the record is rolled out again: where the pods could pull it, nothing is in flight, and some
/// pod is left that runs another image. Which attempt it is, and when the last one was, is read from the workload, so that
/// neither a restart nor another leader adds one.
fn retry(
    container: &Container,
    observed: &Observed,
    policy: &Policy,
    now: Timestamp,
) -> Option<Retry> {
    let tag = container.tag.as_ref().ok()?;
    let mut pods = container.pods.iter();
    let over = recorded(container, observed) == Some(tag) && !observed.is_in_flight();
    let pulled = pods.all(|pod| pod.pulls_always && pod.waiting.is_none());
    let mut pods = container.pods.iter();
    if !over || !pulled || !pods.any(|pod| is_left(pod, observed)) {
        return None;
    }
    let done = observed.attempts.of(&container.name).checked_sub(1)?;
    let wait = *policy.retry_after.get(usize::try_from(done).ok()?)?;
    // Where nothing says when the last one was, there is nothing to wait from.
    let due = limits::end(limits::last_rollout(observed)?, wait, now);
    Some(due.map_or(Retry::Now, Retry::At))
}

fn recorded<'a>(container: &Container, observed: &'a Observed) -> Option<&'a Digest> {
    observed.record.digest(&container.name)
}

/// Whether the digest behind the tag was rolled out before: by the record, or, where the workload does not carry what
/// we rolled out, by what this process remembers.
fn is_guarded(container: &Container, observed: &Observed, now: Timestamp) -> bool {
    let Ok(tag) = &container.tag else {
        return false;
    };
    if recorded(container, observed) == Some(tag) {
        return true;
    }
    // Who went back from a rollout has not lost its record.
    let remembered = container.remembered.as_ref();
    let remembered = remembered.filter(|_| !container.rolled_back);
    remembered.is_some_and(|remembered| {
        // The clock may have been set, so a time that is yet to come is no better than one long past.
        let age = now.duration_since(remembered.at).unsigned_abs();
        remembered.digest == *tag && age < REMEMBERED_FOR
    })
}
