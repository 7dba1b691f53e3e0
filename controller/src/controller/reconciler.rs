//! One workload, from what is to what should be.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::Settings,
    decide::{Decision, decide},
    schedule::{self, Schedule},
    state::Reason,
};
use tokio::time::Instant;

use crate::{
    clock,
    controller::context::Context,
    controller::queue::Again,
    controller::selected::Guarded,
    metrics::Reconciled,
    observe::observation::Observation,
    observe::pods,
    observe::{self, Freshness},
    rollout::budget::Place,
    rollout::field_manager,
    rollout::patch,
    rollout::{self, Outcome as RolledOut},
    status::Flight,
    workload::Workload,
    workload::identity::Identity,
};

/// A tag's answer that is not older is the registry's present one, for all whom it lets roll out, and so is a list of
/// pods that began after it: a pod that is replaced later changes its workload, which the API server then does not let
/// us patch.
const AS_GOOD_AS_NOW: Duration = Duration::from_secs(10);

/// What keeps a workload from being decided or rolled out at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its pods cannot be read.
    #[error(transparent)]
    Observe(#[from] pods::Error),
    /// It cannot be written.
    #[error(transparent)]
    Apply(#[from] patch::Error),
    /// The API server's object is not what this version knows as such a workload.
    #[error("the object cannot be read by this version of the controller: {0}")]
    Unreadable(String),
    /// A defect of ours.
    #[error("the reconcile panicked")]
    Panicked,
}

/// Reconciles a workload and says when to look at it again. A panic ends this reconcile only.
pub(crate) async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Again {
    let begun = Instant::now();
    let identity = &object.identity;
    let reconciled = AssertUnwindSafe(object_now(&object, &context)).catch_unwind();
    let result = reconciled.await.unwrap_or(Err(Error::Panicked));
    let (again, outcome) = match result {
        Ok(done) => done,
        Err(error) => (failed(identity, &error, &context), Reconciled::Error),
    };
    let reports = &context.reports;
    reports.reconciled(identity.kind, outcome, begun.elapsed());
    if !reports.is_selected(&identity.uid) {
        // The label has gone while we looked: what has been learnt is forgotten, too.
        context.forget(identity);
    }
    again
}

/// What happens after a reconcile that failed: the same again, later each time, or as soon as the API server is back.
fn failed(identity: &Identity, error: &Error, context: &Context) -> Again {
    context.budget.gave_up(identity, clock::now());
    let refused = matches!(error, Error::Apply(patch::Error::Refused(_)));
    let reports = &context.reports;
    // If it is not for us any more, it is left alone.
    let ours = reports.failed(identity, error, refused, clock::now());
    ours.then(|| context.retries.failed(identity))
}

async fn object_now(object: &Guarded, context: &Context) -> Result<(Again, Reconciled), Error> {
    if !context.leadership.leads() {
        // It is reconciled when this replica begins to lead.
        return Ok((None, Reconciled::Unchanged));
    }
    match &object.read {
        Ok(workload) => {
            rollout::settle(workload, &object.identity, context);
            workload_now(workload, &object.identity, context).await
        }
        Err(unreadable) => Err(Error::Unreadable(unreadable.error.clone())),
    }
}

async fn workload_now(
    workload: &Workload,
    identity: &Identity,
    context: &Context,
) -> Result<(Again, Reconciled), Error> {
    let now = clock::now();
    if workload.meta().deletion_timestamp.is_some() {
        context.forget(identity);
        return Ok((None, Reconciled::Unchanged));
    }
    if let Some(wait) = context.conflicts.wait(identity, workload) {
        return Ok((Some(wait), Reconciled::Unchanged));
    }
    let containers = workload.template().containers();
    let settings = match Settings::parse(workload.annotations(), &containers, &context.zone) {
        Ok(settings) => settings,
        Err(error) => {
            context.checker.follow(identity, &[]);
            context.budget.forget(identity);
            context.retries.over(identity);
            context.reports.invalid(identity, &error, now);
            return Ok((None, Reconciled::Unchanged));
        }
    };
    let next = Next::after(&settings, identity, now, context);

    let decided = decided(workload, identity, &settings, &next, context);
    let Some(decided) = context.stop.run_until_cancelled(decided).await else {
        return Ok((None, Reconciled::Unchanged));
    };
    let Outcome {
        mut observation,
        decision,
        place,
    } = decided?;
    if !context.reports.is_selected(&identity.uid) {
        return Ok((None, Reconciled::Unchanged));
    }
    if let Some(tags) = &observation.tags {
        context.checker.follow(identity, tags);
    }
    let reports = &context.reports;
    if reports.will_miss_the_record(identity, &decision, &observation) {
        observation.template_writer = template_writer(workload, context).await;
    }
    let mut outcome = Reconciled::Unchanged;
    if let Some((rollout, place)) = decision.rollout.as_ref().zip(place) {
        match rollout::roll_out(workload, identity, rollout, place, context).await? {
            RolledOut::Triggered => outcome = Reconciled::Changed,
            RolledOut::Conflict(wait) => return Ok((Some(wait), outcome)),
            // A watch tells when it is deleted; if none does, it is decided again at its next tick.
            RolledOut::Gone => return Ok((Some(next.tick(clock::now())), outcome)),
            RolledOut::NotOurs => return Ok((None, outcome)),
        }
    }
    context.conflicts.over(identity);
    context.budget.decided(identity, &decision);
    reports.decided(workload, identity, &decision, &observation, now);
    let look = reports.in_flight(identity);
    let delay = next.delay(decision.again, look, clock::now());
    let retry = retry(&observation, &decision, identity, context);
    Ok((Some(retry.map_or(delay, |retry| delay.min(retry))), outcome))
}

/// When to try again what failed for a reason that may pass: at the latest at the next tick, which may be a day away.
fn retry(
    observation: &Observation,
    decision: &Decision,
    identity: &Identity,
    context: &Context,
) -> Option<Duration> {
    let mut failures = observation.failures.iter();
    let failed = failures.any(|(_, failure)| failure.transient)
        || decision.reason.is_some_and(Reason::is_transient);
    if !failed {
        context.retries.over(identity);
        return None;
    }
    Some(match observation.retry {
        Some(retry) => until(retry, clock::now()),
        None => context.retries.failed(identity),
    })
}

async fn template_writer(workload: &Workload, context: &Context) -> Option<String> {
    let writer = field_manager::of(&context.client, workload);
    context.stop.run_until_cancelled(writer).await.flatten()
}

/// What was decided of a workload, on what it rests, and a place for its rollout.
struct Outcome<'a> {
    observation: Observation,
    decision: Decision,
    place: Option<Place<'a>>,
}

/// Observes the workload and decides about it: again where it is to be rolled out, as that takes a place and certainty,
/// and where it is to be told that its pods run another image, which takes certainty, too.
async fn decided<'a>(
    workload: &Workload,
    identity: &Identity,
    settings: &Settings,
    next: &Next<'_>,
    context: &'a Context,
) -> Result<Outcome<'a>, pods::Error> {
    let now = next.now;
    let observe = async |asked: Option<Timestamp>| {
        let tick = next.schedule.current_tick(now);
        let recent = now.checked_sub(AS_GOOD_AS_NOW).unwrap_or(now);
        let freshness = match asked {
            None => Freshness {
                tick,
                look: next.look(tick),
                pods: next.age(),
                asked,
            },
            Some(_) => Freshness {
                tick: tick.max(recent),
                look: true,
                pods: AS_GOOD_AS_NOW,
                asked,
            },
        };
        observe::workload(
            workload,
            settings,
            context.reports.followed(identity),
            freshness,
            context,
        )
        .await
    };
    let mut observation = observe(None).await?;
    let mut policy = context.rollouts.policy();
    let mut decision = decide(&observation.observed, settings, &policy, now);
    if decision.reason == Some(Reason::RuntimeReportsAlias)
        && !context.reports.is_not_converging(identity)
    {
        // Pods that are newer than the answer may run what the tag names by now.
        observation = observe(Some(observation.asked)).await?;
        decision = decide(&observation.observed, settings, &policy, now);
    }
    let mut place = None;
    if decision.rollout.is_some() {
        let since = context.reports.outdated(identity).unwrap_or(now);
        place = context.budget.take(identity, since, now);
        policy.budget_spent = place.is_none();
        if place.is_some() {
            observation = observe(Some(observation.asked)).await?;
        }
        decision = decide(&observation.observed, settings, &policy, now);
    }
    Ok(Outcome {
        observation,
        decision,
        place,
    })
}

/// When a workload is looked at next.
struct Next<'a> {
    schedule: &'a Schedule,
    /// When this reconcile began.
    now: Timestamp,
    /// When its next check is due.
    check: Timestamp,
    /// The rollout that is known to be in flight.
    flight: Option<Flight>,
}

impl<'a> Next<'a> {
    fn after(
        settings: &'a Settings,
        identity: &Identity,
        now: Timestamp,
        context: &'a Context,
    ) -> Self {
        let schedule = settings.schedule.as_ref().unwrap_or(&context.schedule);
        let check = schedule.check_after(now, schedule::seed(&identity.uid));
        Self {
            schedule,
            now,
            check,
            flight: context.reports.in_flight(identity),
        }
    }

    /// Whether to look at the pods of a rollout in flight.
    fn look(&self, tick: Timestamp) -> bool {
        self.flight
            .is_none_or(|flight| flight.is_due(tick, self.now))
    }

    /// How old the pods may be that are looked at now: a look that was meant to come now must not see the last one's.
    fn age(&self) -> Duration {
        self.flight
            .map_or(pods::REFRESH, |flight| flight.pace(self.now) / 2)
    }

    /// How long it is from `end`, when this reconcile ends, to the next check.
    fn tick(&self, end: Timestamp) -> Duration {
        until(self.check, end)
    }

    /// How long to wait from `end`, when this reconcile ends, with what is known by then to be in flight: a reconcile may
    /// have waited for a registry for as long as a tick is.
    fn delay(&self, again: Option<Timestamp>, flight: Option<Flight>, end: Timestamp) -> Duration {
        let tick = self.tick(end);
        if let Some(flight) = flight {
            return tick.min(flight.wait(end));
        }
        let again = again.map(|again| until(again, end));
        again.map_or(tick, |again| tick.min(again))
    }
}

fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_reconcile_that_took_long_does_not_put_off_what_is_due_by_the_clock() {
        let schedule = Schedule::parse_interval("45s").expect("a schedule");
        let second = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let next = Next {
            schedule: &schedule,
            now: second(0),
            check: second(45),
            flight: None,
        };
        let cases = [
            (None, 30, 15),
            (None, 50, 0),
            (Some(second(40)), 30, 10),
            (Some(second(20)), 30, 0),
            (Some(second(60)), 30, 15),
        ];
        for (due, end, expected) in cases {
            let delay = next.delay(due, None, second(end));
            assert_eq!(delay, Duration::from_secs(expected), "{due:?} at {end} s");
        }
    }
}
