//! Applies the decision about a workload, and reports it.

use std::time::Duration;

use futures::FutureExt as _;
use kube::runtime::controller::Action;
use kube_autorollout_core::{
    decide::Decision,
    state::{Reason, State},
};

use super::{
    Error,
    decision::{Reconcile, depends_on_history},
    requeue::until,
};
use crate::{
    clock,
    metrics::ReconcileOutcome,
    observe::{Freshness, nodes, observation::Observation},
    rollout::{
        RolloutResult, condition::Upcoming, field_manager, state::WorkloadState,
        tracker::StuckRollout,
    },
    status,
};

/// The longest time until a workload is requeued.
const MAX_REQUEUE: Duration = Duration::from_secs(60 * 60);

/// The outcome of a completed reconcile, and what the controller does next.
pub(super) type Reconciled = (ReconcileOutcome, Action);

/// A reconcile that did not write to the workload, and when to requeue it.
pub(super) fn unchanged(requeue: Option<Duration>) -> Reconciled {
    (ReconcileOutcome::Unchanged, action(requeue))
}

/// Requeues within an hour: the time until the next tick changes when the clock is set or the machine is suspended.
fn action(requeue: Option<Duration>) -> Action {
    let requeue = requeue.map(|delay| delay.min(MAX_REQUEUE));
    requeue.map_or_else(Action::await_change, Action::requeue)
}

impl Reconcile<'_> {
    /// Evaluates the workload, rolls it out if that is decided, and reports the decision; `None` while a fetch is in flight, and
    /// if it is no longer selected or the term ends.
    pub(super) async fn run(&self, freshness: Freshness) -> Result<Option<Reconciled>, Error> {
        // In a scope and a box of its own: few reconciles wait, and the future of each would be as large.
        let confirmed = {
            let Some((observation, decision)) = self.evaluate(freshness)? else {
                return Ok(None);
            };
            let is_final = !depends_on_history(&decision)
                && !self.has_newly_lost_record(&decision, &observation);
            if is_final {
                let is_selected = self.follow_tags(&observation);
                let requeue = is_selected.then(|| self.report(&decision, &observation));
                return Ok(Some(unchanged(requeue.flatten())));
            }
            self.apply(observation, decision, freshness).boxed()
        };
        confirmed.await
    }

    /// Confirms the decision, rolls the workload out if that is still decided, and reports the decision.
    async fn apply(
        &self,
        observation: Observation,
        decision: Decision,
        freshness: Freshness,
    ) -> Result<Option<Reconciled>, Error> {
        let confirmed = self.confirm(observation, decision, freshness).await?;
        let Some((mut observation, decision, slot)) = confirmed else {
            return Ok(None);
        };
        let (workload, identity, context) = (self.workload, self.identity, self.context);
        if !self.follow_tags(&observation) {
            // It may have joined the queue after the watch showed its deletion.
            context.budget.forget(identity);
            return Ok(Some(unchanged(None)));
        }
        if self.has_newly_lost_record(&decision, &observation) {
            let manager = field_manager::last(&context.rollouts.client, workload);
            let manager = context.rollouts.stop.run_until_cancelled(manager).await;
            observation.template_writer = manager.flatten();
        }
        let mut outcome = ReconcileOutcome::Unchanged;
        if let Some((rollout, slot)) = decision.rollout.as_ref().zip(slot) {
            let rolled_out = context.rollouts.roll_out(workload, identity, rollout, slot);
            let (result, conflicts) = rolled_out.await?;
            (0..conflicts).for_each(|_| context.reporter.conflict(identity));
            match result {
                RolloutResult::Triggered(triggered) => {
                    let labels = &context.sources.labels;
                    let fetched = labels.until_fetched(&triggered.rollout);
                    context.rollouts.stop.run_until_cancelled(fetched).await;
                    context.reporter.triggered(identity, &triggered, labels);
                    if let Some(announced) = context.sources.tags.announced(identity) {
                        let since = until(triggered.at, announced);
                        context.reporter.metrics.hints.patched(since);
                    }
                    outcome = ReconcileOutcome::Changed;
                }
                RolloutResult::Conflict(wait) => return Ok(Some(unchanged(Some(wait)))),
                // The watch will show its deletion. If it does not, the next tick evaluates the workload again.
                RolloutResult::Gone => {
                    let tick = self.timing.tick(clock::now());
                    return Ok(Some(unchanged(Some(tick))));
                }
                RolloutResult::NotLeading => return Ok(Some(unchanged(None))),
            }
        }
        let requeue = self.report(&decision, &observation);
        Ok(Some((outcome, action(requeue))))
    }

    /// Follows the tags of the workload's images; returns whether the workload is still selected.
    fn follow_tags(&self, observation: &Observation) -> bool {
        let (identity, context) = (self.identity, self.context);
        let is_selected = context.rollouts.states.identity(&identity.uid).is_some();
        if let Some(tags) = observation.tags.as_ref().filter(|_| is_selected) {
            context.sources.tags.follow(identity, tags);
        }
        is_selected
    }

    /// Records and reports the decision; returns when to requeue, or `None` if the workload is no longer selected.
    fn report(&self, decision: &Decision, observation: &Observation) -> Option<Duration> {
        let (identity, context, now) = (self.identity, self.context, self.timing.now);
        let recorded = context.rollouts.states.with(&identity.uid, |state| {
            state.conflicts.end();
            let tracker = &mut state.tracker;
            let transition = tracker.decided(self.workload, decision, observation, now);
            let (outdated, flight) = (tracker.outdated().is_some(), tracker.in_flight());
            let retry = retry(observation, decision, state, &identity.uid);
            let end = clock::now();
            let delay = self.timing.delay(decision.recheck_at, flight, end);
            let gone = observation.is_node_gone().then_some(nodes::GONE_FOR);
            let delay = retry.into_iter().chain(gone).fold(delay, Duration::min);
            let upcoming = Upcoming {
                reconcile: end.checked_add(delay).ok(),
                attempt: decision.recheck_at,
            };
            let container = self.container_index(decision.container.as_deref());
            let condition = (decision.state, decision.reason, container);
            state.set_condition(condition, now, upcoming);
            (transition, outdated, delay)
        });
        let (transition, outdated, delay) = recorded?;
        context.budget.decided(identity, decision);
        let reporter = &context.reporter;
        reporter.decided(identity, decision, observation, transition, outdated, now);
        Some(delay)
    }

    /// The index of a container in the pod template.
    fn container_index(&self, container: Option<&str>) -> Option<u8> {
        let mut names = self.workload.template().names();
        let index = names.position(|name| Some(name) == container)?;
        u8::try_from(index).ok()
    }

    /// Whether a lost rollout record is about to be reported for the first time: only then is a request for the field
    /// manager that removed it worthwhile.
    fn has_newly_lost_record(&self, decision: &Decision, observation: &Observation) -> bool {
        if decision.state != State::NotConverging || !status::has_lost_record(decision, observation)
        {
            return false;
        }
        let stuck = StuckRollout::new(decision, observation);
        let states = &self.context.rollouts.states;
        let is_new = |state: &mut WorkloadState| state.tracker.stuck() != Some(&stuck);
        states.with(&self.identity.uid, is_new).unwrap_or(false)
    }
}

/// When to retry after a transient failure: the next tick may be a day away.
fn retry(
    observation: &Observation,
    decision: &Decision,
    state: &mut WorkloadState,
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
