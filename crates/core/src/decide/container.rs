//! Evaluates one container independently of the others.

use std::time::Duration;

use jiff::Timestamp;

use super::{Container, Observed, Policy, Running, limits};
use crate::{Digest, compare::Verdict, record::Change, state::Reason};

/// For how long a rollout in memory keeps its digest from being rolled out again.
const REMEMBERED_FOR: Duration = Duration::from_secs(60 * 60);

/// The state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not checked.
    Skipped(Reason),
    /// It is undetermined.
    Unknown(Reason),
    /// Some pod runs another image than the tag's.
    Stale,
    /// Every pod that has started runs the tag's image.
    Current(Reason),
    /// No pod has started it.
    NotStarted,
}

/// A container and its evaluation.
pub(super) struct Finding<'a> {
    container: &'a Container,
    observed: &'a Observed,
    outcome: Outcome,
    /// The digest behind the tag was rolled out already.
    guarded: bool,
    /// The retry of that rollout, if it is due or scheduled.
    retry: Option<Retry>,
}

/// When to repeat a completed rollout that left pods running another image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Now,
    At(Timestamp),
}

/// Evaluates each container; sorted by name.
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

    /// Whether new pods might run another image than the existing ones.
    pub(super) fn may_change(&self) -> bool {
        self.is_candidate() || matches!(self.outcome, Outcome::Unknown(_))
    }

    /// Since when its tag has named the last known digest.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.container.since
    }

    /// Whether a rollout would update it and has not been tried, or is due for a retry.
    pub(super) fn is_candidate(&self) -> bool {
        self.is_stale() && (!self.guarded || self.retry == Some(Retry::Now))
    }

    /// Whether new pods might bring back a digest that was rolled back: not if they are to run it by the record.
    pub(super) fn is_rolled_back(&self) -> bool {
        let keeps = matches!(self.outcome, Outcome::Current(_) | Outcome::Skipped(_));
        let is_recorded =
            recorded(self.container, self.observed) == self.container.tag.as_ref().ok();
        self.container.rolled_back && !keeps && (self.is_candidate() || !is_recorded)
    }

    /// Whether some pod is not pinned that should be.
    pub(super) fn is_not_pinned(&self) -> bool {
        self.container.pinned == Some(false)
    }

    /// The time of the retry, if it is in the future.
    pub(super) fn retry(&self) -> Option<Timestamp> {
        match self.retry? {
            Retry::Now => None,
            Retry::At(instant) => Some(instant),
        }
    }

    /// Whether it prevents a rollout in flight from completing.
    pub(super) fn is_stuck(&self) -> bool {
        self.container.pods.iter().any(|pod| pod.waiting.is_some())
    }

    /// Whether its image is unavailable, so that new pods could not start. One such error is enough: a different error in
    /// another pod must not hide it.
    pub(super) fn blocks_new_pods(&self) -> bool {
        let tag = self.container.tag.as_ref().err().copied();
        let pods = self.container.pods.iter().filter(|pod| pod.names_tag);
        let pods = || pods.clone().map(|pod| pod.verdict);
        let reasons = tag.into_iter().chain(pods().filter_map(Verdict::doubt));
        matches!(self.outcome, Outcome::Unknown(_))
            && (pods().any(|verdict| matches!(verdict, Verdict::CannotStart(_)))
                || reasons.into_iter().any(Reason::blocks_new_pods))
    }

    /// Why its pods do not run the digest although it was rolled out; if the tag has moved since, pending pods pull the new
    /// digest on their next attempt.
    pub(super) fn failure_to_converge(&self) -> Option<Reason> {
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
        let completed = self.guarded && self.is_stale() && !self.observed.is_in_flight();
        let pods = self.container.pods.iter();
        let remaining = pods.filter(|pod| completed && is_left_over(pod, self.observed));
        let pulls = remaining.map(|pod| pod.pulls_always).min()?;
        Some(if pulls {
            Reason::RuntimeReportsAlias
        } else {
            Reason::PullPolicy
        })
    }

    /// Whether some digest was rolled out, and the tag's digest is known, or not needed because there is no pod.
    fn has_record(&self) -> bool {
        let is_known = self.container.tag.is_ok() || self.container.pods.is_empty();
        is_known && recorded(self.container, self.observed).is_some()
    }

    /// The image in its template.
    pub(super) fn image(&self) -> &'a str {
        &self.container.image
    }

    /// The digest to pin in new pods: the tag's if it is rolled out or certainly runs already, else that of the present pin.
    pub(super) fn pin(&self) -> Option<Digest> {
        if self.container.image_replaced {
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

    /// Its change in a rollout.
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
        Ok(_) => combined(&container.pods),
        Err(reason) => Outcome::Unknown(reason),
    };
    // With another pull policy a restart does not pull. If it was tried all the same, its failure is reported instead.
    let tried =
        compared == Outcome::Stale && recorded(container, observed) == container.tag.as_ref().ok();
    if !tried && container.pods.iter().any(|pod| !pod.pulls_always) {
        return Outcome::Skipped(Reason::PullPolicy);
    }
    compared
}

/// Combines the verdicts of all pods.
fn combined(pods: &[Running]) -> Outcome {
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
        Outcome::Unknown(Reason::UnsupportedMediaType) // new pods could not start
    } else if verdicts().any(|verdict| verdict == Verdict::Stale) {
        // Pods with another image prove nothing about the digest to roll out.
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

/// Whether a completed rollout left this pod running another image; a pod that is still starting does not count.
fn is_left_over(pod: &Running, observed: &Observed) -> bool {
    pod.verdict == Verdict::Stale && (pod.ready || observed.deadline_exceeded)
}

/// When to repeat the rollout of the recorded digest: the pods could pull it, nothing is in flight, and some pod still runs
/// another image. The number of attempts and the time of the last one come from the workload, so that neither a restart nor
/// a new leader adds one.
fn retry(
    container: &Container,
    observed: &Observed,
    policy: &Policy,
    now: Timestamp,
) -> Option<Retry> {
    let tag = container.tag.as_ref().ok()?;
    let completed = recorded(container, observed) == Some(tag) && !observed.is_in_flight();
    let pods = &container.pods;
    let pulled = pods
        .iter()
        .all(|pod| pod.pulls_always && pod.waiting.is_none());
    if !completed || !pulled || !pods.iter().any(|pod| is_left_over(pod, observed)) {
        return None;
    }
    let retries = observed.attempts.count(&container.name).checked_sub(1)?;
    let wait = *policy.retry_after.get(usize::try_from(retries).ok()?)?;
    // If the time of the last rollout is unknown, there is no delay to measure.
    let due = limits::end(limits::last_rollout(observed)?, wait, now);
    Some(due.map_or(Retry::Now, Retry::At))
}

fn recorded<'a>(container: &Container, observed: &'a Observed) -> Option<&'a Digest> {
    observed.record.digest(&container.name)
}

/// Whether the digest behind the tag was rolled out already: according to the record or, if the workload lost it, to the
/// memory of this process.
fn is_guarded(container: &Container, observed: &Observed, now: Timestamp) -> bool {
    let Ok(tag) = &container.tag else {
        return false;
    };
    if recorded(container, observed) == Some(tag) {
        return true;
    }
    // A rollback restores an older record on purpose.
    let remembered = container.remembered.as_ref();
    let remembered = remembered.filter(|_| !container.rolled_back);
    remembered.is_some_and(|rollout| {
        rollout.digest == *tag && limits::end(rollout.at, REMEMBERED_FOR, now).is_some()
    })
}
