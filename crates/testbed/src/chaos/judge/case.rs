//! One patch, and whether it violates a promise.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Violation, runs::Runs};
use crate::chaos::history::{History, Move, Name, Patch, Run, Subject};

/// How old the registry's response may be on which a patch rests: ten seconds by the design, and as much again for reading
/// pods and for the way of the patch on a busy machine.
const ANSWER_AGE: SignedDuration = SignedDuration::from_secs(20);

/// How long before the patch the pods may have been read on which it rests.
const PODS_AGE: SignedDuration = SignedDuration::from_secs(10);

/// A patch and its context.
pub(super) struct Case<'a> {
    pub(super) history: &'a History,
    pub(super) runs: &'a Runs<'a>,
    pub(super) subject: &'a Subject,
    pub(super) patch: &'a Patch,
    /// The patch before it, of the same workload.
    pub(super) before: Option<&'a Patch>,
}

/// The move of a tag that a patch was for, by its index in the history.
type Served<'a> = (&'a Name, &'a str, usize);

/// The outcome of a patch without a violation.
pub(super) struct Outcome {
    /// It was overtaken on its way.
    pub(super) raced: bool,
    /// It rolled a digest out again.
    pub(super) repeated: bool,
}

/// The effect of a patch on a container.
enum Entry {
    /// It is rolled out to another digest.
    Changed,
    /// The same digest is rolled out again, as the attempt with this number.
    Repeated(u32),
    /// Its entry stays.
    Kept,
}

impl<'a> Case<'a> {
    /// Finds a violation, or adds the moves that the patch was for to `served`.
    pub(super) fn judge(&self, served: &mut BTreeSet<Served<'a>>) -> Result<Outcome, Violation> {
        let at = self.patch.at;
        if !self.subject.rolls || self.is_ruled_out() {
            return Err(Violation::Unwanted);
        }
        let mut causes = Vec::new();
        let mut repeated = false;
        for (container, digest) in &self.patch.record {
            let (place, moved) = self.moved(container, digest)?;
            let is_cause = match self.entry(container, digest)? {
                Entry::Changed => served.insert((&self.patch.name, container, place)),
                Entry::Repeated(attempt) => {
                    self.may_repeat(container, moved, attempt)?;
                    repeated = true;
                    true
                }
                Entry::Kept => false,
            };
            if is_cause {
                causes.push((container, moved));
            }
        }
        if causes.is_empty() {
            return Err(Violation::Twice);
        }
        // One container is enough to justify a patch
        causes.retain(|(_, moved)| self.is_answered(moved));
        if causes.is_empty() {
            return Err(Violation::NotAnswered);
        }
        let differs = |since| {
            let mut causes = causes.iter();
            causes.any(|(container, moved)| {
                let mut others = self.others(container, moved, since).into_iter();
                others.next().is_some()
            })
        };
        if !differs(at - PODS_AGE) {
            return Err(Violation::NoDifference);
        }
        let raced = !differs(at) || !causes.iter().any(|(_, moved)| self.is_named(moved));
        Ok(Outcome { raced, repeated })
    }

    /// The effect of the patch on a container, by the record and the attempts of the patch before.
    fn entry(&self, container: &str, digest: &str) -> Result<Entry, Violation> {
        let attempts = |patch: &Patch| patch.attempts.get(container).copied().unwrap_or(1);
        let recorded = self.before.and_then(|before| before.record.get(container));
        let (before, same) = match self.before {
            Some(patch) if recorded.is_some_and(|recorded| recorded == digest) => {
                (attempts(patch), true)
            }
            _ => (0, false),
        };
        let written = attempts(self.patch);
        match (same, written.checked_sub(before)) {
            (true, Some(0)) => Ok(Entry::Kept),
            (true, Some(1)) => Ok(Entry::Repeated(written)),
            (false, Some(1)) => Ok(Entry::Changed),
            _ => Err(Violation::Miscounted {
                container: container.to_owned(),
                before,
                written,
            }),
        }
    }

    /// Whether a digest may be rolled out again: not more often than there are waits, not before its wait is over, and
    /// where a ready pod of the rollout before runs another image.
    fn may_repeat(&self, container: &str, moved: &Move, attempt: u32) -> Result<(), Violation> {
        let (at, container) = (self.patch.at, container.to_owned());
        let done = usize::try_from(attempt.saturating_sub(2)).unwrap_or(usize::MAX);
        let Some(wait) = self.history.retry_after.get(done) else {
            return Err(Violation::TooOften { container, attempt });
        };
        let last = self.before.and_then(|before| before.restarted_at);
        let waited = self.patch.restarted_at.zip(last);
        if waited.is_none_or(|(now, last)| now.duration_since(last) < *wait) {
            return Err(Violation::TooSoon { container });
        }
        let others = self.others(&container, moved, at - PODS_AGE).into_iter();
        let of_it =
            |run: &&Run| run.ready && self.before.is_none_or(|last| run.pod_since >= last.at);
        if !others.into_iter().any(|run| of_it(&run)) {
            return Err(Violation::NoCause { container });
        }
        Ok(())
    }

    /// Whether the owner had certainly ruled it out at that moment.
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
    fn moved(&self, container: &str, digest: &str) -> Result<(usize, &'a Move), Violation> {
        let tag = self.subject.tags.get(container);
        let moves = self.history.moves.iter().enumerate();
        let until_then = moves
            .filter(|(_, moved)| Some(&moved.tag) == tag)
            .take_while(|(_, moved)| moved.span.begun <= self.patch.at)
            .filter(|(_, moved)| moved.digest == digest);
        until_then.last().ok_or_else(|| Violation::NeverPushed {
            container: container.to_owned(),
            digest: digest.to_owned(),
        })
    }

    /// Whether the registry has responded with it a short time ago.
    fn is_answered(&self, moved: &Move) -> bool {
        let recent = self.patch.at - ANSWER_AGE..=self.patch.at;
        let mut answers = self.history.answers.iter();
        answers.any(|answer| {
            answer.tag == moved.tag && answer.digest == moved.digest && recent.contains(&answer.at)
        })
    }

    /// What ran another image between `since` and the patch.
    fn others(&self, container: &str, moved: &Move, since: Timestamp) -> Vec<&'a Run> {
        let runs = self.runs.of_container(self.subject, container).into_iter();
        runs.filter(|run| run.from <= self.patch.at && run.to.is_none_or(|to| to >= since))
            .filter(|run| run.config != moved.config)
            .collect()
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
