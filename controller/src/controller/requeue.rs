//! When a workload is reconciled next.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{annotations::Settings, schedule, schedule::Schedule};
use tokio::time::Instant;

use super::Context;
use crate::{
    observe::{Freshness, pods},
    rollout::Flight,
    workload::identity::Identity,
};

/// A tag's answer that is not older is the registry's present one, for all whom it lets roll out, and so is a list of
/// pods that began after it: a pod that is replaced later changes its workload, which the API server then does not let
/// us patch.
const AS_GOOD_AS_NOW: Duration = Duration::from_secs(10);

/// When a workload is checked next.
pub(super) struct Next<'a> {
    schedule: &'a Schedule,
    /// When this reconcile began.
    pub(super) now: Timestamp,
    /// When its next check is due.
    check: Timestamp,
    /// The rollout that is known to be in flight.
    flight: Option<Flight>,
}

impl<'a> Next<'a> {
    pub(super) fn after(
        settings: &'a Settings,
        identity: &Identity,
        flight: Option<Flight>,
        now: Timestamp,
        context: &'a Context,
    ) -> Self {
        let schedule = settings.schedule.as_ref().unwrap_or(&context.schedule);
        let check = schedule.check_after(now, schedule::seed(&identity.uid));
        Self {
            schedule,
            now,
            check,
            flight,
        }
    }

    /// How fresh facts must be for a check.
    pub(super) fn freshness(&self) -> Freshness {
        let tick = self.schedule.current_tick(self.now);
        Freshness {
            tick,
            manifests: tick,
            poll: self
                .flight
                .is_none_or(|flight| flight.is_due(tick, self.now)),
            pods: ago(self.age()),
            after_request: None,
            waited: None,
            templates: false,
        }
    }

    /// How fresh they must be for a rollout that rests on what a registry was `asked`.
    pub(super) fn certainty(&self, asked: Timestamp) -> Freshness {
        let tick = self.schedule.current_tick(self.now);
        let recent = self.now.checked_sub(AS_GOOD_AS_NOW).unwrap_or(self.now);
        Freshness {
            tick: tick.max(recent),
            manifests: self.now,
            poll: true,
            pods: ago(AS_GOOD_AS_NOW),
            after_request: Some(asked),
            waited: None,
            templates: true,
        }
    }

    /// How old the pods may be that are read now: a poll that was meant to come now must not get the last one's.
    fn age(&self) -> Duration {
        self.flight
            .map_or(pods::REFRESH, |flight| flight.pace(self.now) / 2)
    }

    /// How long it is from `end`, when this reconcile ends, to the next check.
    pub(super) fn tick(&self, end: Timestamp) -> Duration {
        until(self.check, end)
    }

    /// How long to wait from `end`, when this reconcile ends, with what is known by then to be in flight: a reconcile may
    /// have waited for as long as a tick is.
    pub(super) fn delay(
        &self,
        again: Option<Timestamp>,
        flight: Option<Flight>,
        end: Timestamp,
    ) -> Duration {
        let tick = self.tick(end);
        if let Some(flight) = flight {
            return tick.min(flight.wait(end));
        }
        let again = again.map(|again| until(again, end));
        again.map_or(tick, |again| tick.min(again))
    }
}

/// How long it is from `now` until then.
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
