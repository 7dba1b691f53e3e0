//! Applies what was decided of a workload, and reports it.

use std::time::Duration;

use futures::{FutureExt as _, future::BoxFuture};
use kube_autorollout_core::{
    decide::Decision,
    state::{Reason, State},
};

use super::{
    decision::{Decided, Reconcile},
    error::Error,
    requeue::until,
};
use crate::{
    clock,
    metrics::Reconciled,
    observe::{Freshness, observation::Observation},
    rollout::{Outcome, field_manager, standing::Again, state::State as Known, tracker::Stuck},
    status,
};

/// What a reconcile came to.
pub(super) enum Done {
    /// Something is being fetched; the workload is reconciled when it is there.
    Waiting,
    /// It was decided, and is reconciled again after so long.
    Decided(Reconciled, Option<Duration>),
}

impl Done {
    pub(super) const fn unchanged(again: Option<Duration>) -> Self {
        Self::Decided(Reconciled::Unchanged, again)
    }
}

/// How far a reconcile comes at once.
pub(super) enum Begun<'a> {
    /// To its end.
    Ended(Done),
    /// It waits: few do, and all would be as large.
    Waits(BoxFuture<'a, Result<Done, Error>>),
}

impl Reconcile<'_> {
    /// Decides with what is known, and reports that where nothing else is to be done.
    pub(super) fn begin(&self, freshness: Freshness) -> Result<Begun<'_>, Error> {
        let Some(decided) = self.at_once(freshness)? else {
            return Ok(Begun::Ended(Done::Waiting));
        };
        let Decided {
            observation,
            decision,
            ..
        } = &decided;
        if !decided.holds() || self.has_newly_lost_its_record(decision, observation) {
            return Ok(Begun::Waits(self.carry_out(decided, freshness).boxed()));
        }
        let done = if self.follows(observation) {
            Done::Decided(Reconciled::Unchanged, self.report(decision, observation))
        } else {
            Done::unchanged(None)
        };
        Ok(Begun::Ended(done))
    }

    /// Decides with certainty, rolls the workload out where that was decided, and reports what was.
    async fn carry_out(&self, decided: Decided<'_>, freshness: Freshness) -> Result<Done, Error> {
        let Some(decided) = self.certainly(decided, freshness).await? else {
            return Ok(Done::Waiting);
        };
        let Decided {
            mut observation,
            decision,
            slot,
        } = decided;
        let (workload, identity, context) = (self.workload, self.identity, self.context);
        if !self.follows(&observation) {
            return Ok(Done::unchanged(None));
        }
        if self.has_newly_lost_its_record(&decision, &observation) {
            let writer = field_manager::of(&context.rollouts.client, workload);
            let writer = context.rollouts.stop.run_until_cancelled(writer).await;
            observation.template_writer = writer.flatten();
        }
        let mut outcome = Reconciled::Unchanged;
        if let Some((rollout, slot)) = decision.rollout.as_ref().zip(slot) {
            let rolled_out = context.rollouts.roll_out(workload, identity, rollout, slot);
            let (rolled_out, conflicts) = rolled_out.await?;
            (0..conflicts).for_each(|_| context.reporter.conflict(identity));
            match rolled_out {
                Outcome::Triggered(triggered) => {
                    let labels = &context.sources.labels;
                    let settled = labels.settled(&triggered.rollout);
                    context.rollouts.stop.run_until_cancelled(settled).await;
                    context.reporter.triggered(identity, &triggered, labels);
                    if let Some(announced) = context.sources.tags.announced(identity) {
                        context.reporter.hinted(until(triggered.at, announced));
                    }
                    outcome = Reconciled::Changed;
                }
                Outcome::Conflict(wait) => return Ok(Done::unchanged(Some(wait))),
                // A watch shows when it is deleted; if none does, it is decided again at its next tick.
                Outcome::Gone => {
                    return Ok(Done::unchanged(Some(self.next.tick(clock::now()))));
                }
                Outcome::NotLeading => return Ok(Done::unchanged(None)),
            }
        }
        Ok(Done::Decided(outcome, self.report(&decision, &observation)))
    }

    /// Follows the tags that it was found to be on; returns whether the workload is still selected.
    fn follows(&self, observation: &Observation) -> bool {
        let (identity, context) = (self.identity, self.context);
        let is_selected = context.rollouts.states.identity(&identity.uid).is_some();
        if let Some(tags) = observation.tags.as_ref().filter(|_| is_selected) {
            context.sources.tags.follow(identity, tags);
        }
        is_selected
    }

    /// Remembers and reports what was decided; returns when to reconcile again.
    fn report(&self, decision: &Decision, observation: &Observation) -> Option<Duration> {
        let (identity, context, now) = (self.identity, self.context, self.next.now);
        let remembered = context.rollouts.states.with(&identity.uid, |state| {
            state.conflicts.end();
            let tracker = &mut state.tracker;
            let transition = tracker.decided(self.workload, decision, observation, now);
            let (outdated, flight) = (tracker.outdated().is_some(), tracker.in_flight());
            let retry = retry(observation, decision, state, &identity.uid);
            let end = clock::now();
            let delay = self.next.delay(decision.again, flight, end);
            let delay = retry.map_or(delay, |retry| delay.min(retry));
            let again = Again {
                next: end.checked_add(delay).ok(),
                attempt: decision.again,
            };
            let container = self.place(decision.container.as_deref());
            state.stands((decision.state, decision.reason, container), now, again);
            (transition, outdated, delay)
        });
        let (transition, outdated, delay) = remembered?;
        context.budget.decided(identity, decision);
        let reporter = &context.reporter;
        reporter.decided(identity, decision, observation, transition, outdated, now);
        Some(delay)
    }

    /// The place of a container in the pod template.
    fn place(&self, container: Option<&str>) -> Option<u8> {
        let mut names = self.workload.template().names();
        let place = names.position(|name| Some(name) == container)?;
        u8::try_from(place).ok()
    }

    /// Whether it is about to be reported that the workload does not converge and has lost our record: who took the record
    /// away is worth a request once.
    fn has_newly_lost_its_record(&self, decision: &Decision, observation: &Observation) -> bool {
        if decision.state != State::NotConverging || !status::has_lost_record(decision, observation)
        {
            return false;
        }
        let stuck = Stuck::of(decision, observation);
        let states = &self.context.rollouts.states;
        let is_new = |state: &mut Known| state.tracker.stuck() != Some(&stuck);
        states.with(&self.identity.uid, is_new).unwrap_or(false)
    }
}

/// When to try again what failed for a reason that may pass: at the latest at the next tick, which may be a day away.
fn retry(
    observation: &Observation,
    decision: &Decision,
    state: &mut Known,
    uid: &str,
) -> Option<Duration> {
    let mut failures = observation.failures.iter();
    let failed = failures.any(|(_, failure)| failure.transient)
        || decision.reason.is_some_and(Reason::is_transient);
    if !failed {
        state.succeeded();
        return None;
    }
    Some(match observation.retry {
        Some(retry) => until(retry, clock::now()),
        None => state.failed(uid),
    })
}
