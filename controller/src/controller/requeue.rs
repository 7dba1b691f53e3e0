//! How fresh the facts of a reconcile must be, and when the workload is requeued.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::Settings,
    schedule::{self, Schedule},
};
use tokio::time::Instant;

use super::Context;
use crate::{
    observe::{Freshness, pods},
    rollout::Flight,
    workload::identity::Identity,
};

/// Maximum age of the facts that a rollout rests on. Older tags could be outdated; a pod that is replaced after the list
/// changes its workload, so that the API server rejects the patch.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The times that concern one reconcile.
pub(super) struct Timing<'a> {
    schedule: &'a Schedule,
    /// The start of this reconcile.
    pub(super) now: Timestamp,
    /// The next tick of the schedule.
    next_tick: Timestamp,
    /// The rollout in flight, if there is one.
    flight: Option<Flight>,
}

impl<'a> Timing<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        identity: &Identity,
        flight: Option<Flight>,
        now: Timestamp,
        context: &'a Context,
    ) -> Self {
        let schedule = settings.schedule.as_ref().unwrap_or(&context.schedule);
        Self {
            schedule,
            now,
            next_tick: schedule.check_after(now, schedule::seed(&identity.uid)),
            flight,
        }
    }

    /// How fresh the facts must be for a check.
    pub(super) fn freshness(&self) -> Freshness {
        let tick = self.schedule.current_tick(self.now);
        // During a rollout each poll needs a list of its own.
        let poll_age = self.flight.map(|flight| flight.interval(self.now) / 2);
        let max_pod_age = poll_age.unwrap_or(pods::REFRESH);
        Freshness {
            tick,
            manifests: tick,
            poll: self
                .flight
                .is_none_or(|flight| flight.is_due(tick, self.now)),
            pods: ago(max_pod_age),
            after_request: None,
            waited: None,
            rollbacks: false,
        }
    }

    /// How fresh the facts must be to confirm a decision that rests on a registry's response to `request`.
    pub(super) fn confirmation(&self, request: Timestamp) -> Freshness {
        let tick = self.schedule.current_tick(self.now);
        let recent = self.now.checked_sub(MAX_AGE).unwrap_or(self.now);
        Freshness {
            tick: tick.max(recent),
            manifests: self.now,
            poll: true,
            pods: ago(MAX_AGE),
            after_request: Some(request),
            waited: None,
            rollbacks: true,
        }
    }

    /// Time from `end`, the end of this reconcile, to the next tick.
    pub(super) fn tick(&self, end: Timestamp) -> Duration {
        until(self.next_tick, end)
    }

    /// Time from `end`, the end of this reconcile, to the next one. `flight` is the rollout in flight at that time: the
    /// reconcile may have waited for a whole tick.
    pub(super) fn delay(
        &self,
        recheck_at: Option<Timestamp>,
        flight: Option<Flight>,
        end: Timestamp,
    ) -> Duration {
        let tick = self.tick(end);
        if let Some(flight) = flight {
            return tick.min(flight.wait(end));
        }
        let wait = recheck_at.map(|recheck_at| until(recheck_at, end));
        wait.map_or(tick, |wait| tick.min(wait))
    }
}

/// Time from `now` to `then`; zero if it has passed.
pub(super) fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn ago(age: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(age).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_long_reconcile_does_not_delay_the_next_one() {
        let schedule = Schedule::parse_interval("45s").expect("a schedule");
        let second = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let timing = Timing {
            schedule: &schedule,
            now: second(0),
            next_tick: second(45),
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
            let delay = timing.delay(due, None, second(end));
            assert_eq!(delay, Duration::from_secs(expected), "{due:?} at {end} s");
        }
    }
}
