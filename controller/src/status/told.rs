//! What was told of one workload.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT},
    decide::Decision,
    schedule,
    state::{Reason, State},
};
use tracing::info;

use super::{messages, warnings::Warnings};
use crate::{
    observe::observation::{Observation, PROGRESS_DEADLINE},
    workload::Workload,
    workload::identity::Identity,
};

/// What was told of one workload.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) state: Option<State>,
    /// Why it was last said to wait, if it waits.
    pub(super) waits: Option<(State, Option<Reason>)>,
    /// Since when it has not run what its tags name, if it does not.
    pub(super) outdated: Option<Timestamp>,
    /// Our own rollout, until its pods run what it was for.
    pub(super) rollout: Option<OurRollout>,
    /// Some decision since the start found no rollout in flight.
    pub(super) settled: bool,
    /// Some rollout is in flight.
    pub(super) in_flight: Option<Flight>,
    pub(super) warnings: Warnings,
}

/// What is remembered of a workload's rollout, as far as observing it takes that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Followed {
    /// The generation that it reached by our last patch; an object of an earlier one is news from the past.
    pub(crate) generation: i64,
    /// The last rollout was ours, and its pods have not all been ready yet.
    pub(crate) unfinished: bool,
    /// When a rollout was first found to be in flight, if one is.
    pub(crate) since: Option<Timestamp>,
}

/// A rollout in flight, ours or another's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    since: Timestamp,
    /// When its pods were looked at last, if they were.
    looked: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OurRollout {
    pub(super) since: Timestamp,
    /// The workload's generation after the patch.
    pub(super) generation: i64,
    /// It has been counted as one that does not converge.
    pub(super) stuck: bool,
}

impl Told {
    /// What observing the workload takes of it.
    pub(super) fn followed(&self) -> Followed {
        Followed {
            generation: self.rollout.map_or(0, |rollout| rollout.generation),
            unfinished: self.rollout.is_some(),
            since: self.in_flight.map(|flight| flight.since),
        }
    }

    /// Tells why a stale workload is not rolled out now: once, and again when there is another reason.
    pub(super) fn waiting(&mut self, identity: &Identity, decision: &Decision) {
        let waits = matches!(decision.state, State::Outdated | State::Held)
            .then_some((decision.state, decision.reason));
        if waits.is_some() && self.waits != waits {
            info!(workload = %identity, "{}", messages::waits(decision));
        }
        if decision.state != State::Unknown {
            self.waits = waits;
        }
    }
}

impl Flight {
    /// A rollout that begins: there is nothing to see yet.
    pub(super) const fn begun(now: Timestamp) -> Self {
        Self {
            since: now,
            looked: Some(now),
        }
    }

    /// A rollout that was found to be in flight; its pods are looked at first.
    pub(super) const fn found(now: Timestamp) -> Self {
        Self {
            since: now,
            looked: None,
        }
    }

    pub(super) const fn looked(&mut self, now: Timestamp) {
        self.looked = Some(now);
    }

    /// Whether it is time to look at its pods, in a tick that began at `tick`: what its workload says of itself
    /// meanwhile, with every pod that comes or goes, does not tell why it might be stuck.
    pub(crate) fn is_due(self, tick: Timestamp, now: Timestamp) -> bool {
        self.looked
            .is_none_or(|looked| looked < tick || looked > now || self.left(now).is_zero())
    }

    /// How long it is from a look now to the next.
    pub(crate) fn pace(self, now: Timestamp) -> Duration {
        schedule::look_after(self.since, now)
    }

    /// How long to wait for the next look. One that is due by now has been tried: there was nothing to see yet.
    pub(crate) fn wait(self, now: Timestamp) -> Duration {
        let left = self.left(now);
        if left.is_zero() {
            return self.pace(now);
        }
        left
    }

    fn left(self, now: Timestamp) -> Duration {
        let looked = self.looked.unwrap_or(now);
        let waited = now.duration_since(looked).unsigned_abs();
        self.pace(looked).saturating_sub(waited)
    }
}

impl OurRollout {
    /// After a restart a rollout that is in flight, to what the tags name now, is taken for ours; one whose pods are all
    /// replaced and not all ready is if it began lately, as a pod may also stop being ready much later.
    pub(super) fn adopted(
        workload: &Workload,
        decision: &Decision,
        observation: &Observation,
        now: Timestamp,
    ) -> Option<Self> {
        let observed = &observation.observed;
        let to_the_tag = observed.containers.iter().any(|container| {
            let recorded = observed.record.digest(&container.name);
            recorded.is_some() && recorded == container.tag.as_ref().ok()
        });
        let template = workload.template();
        let restarted_at = template
            .annotation(RESTARTED_AT)
            .or_else(|| template.annotation(KUBECTL_RESTARTED_AT));
        let since: Timestamp = restarted_at?.parse().ok()?;
        let lately = now.duration_since(since).abs() < PROGRESS_DEADLINE;
        let runs = decision.state == State::RollingOut || (!observed.complete && lately);
        (runs && to_the_tag).then_some(Self {
            since,
            generation: 0,
            stuck: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    /// When a rollout is looked at if it changes every second, in ticks of so many seconds.
    fn looks(mut flight: Flight, seconds: i64, tick: i64) -> Vec<i64> {
        let mut looks = Vec::new();
        for now in 0..seconds {
            if flight.is_due(second(now - now % tick), second(now)) {
                flight.looked(second(now));
                looks.push(now);
            }
        }
        looks
    }

    #[test]
    fn a_rollout_that_goes_on_is_looked_at_less_and_less() {
        let ours = looks(Flight::begun(second(0)), 30, 1000);
        assert_eq!(ours, [2, 4, 6, 8, 10, 13, 17, 22, 28]);
        let found = looks(Flight::found(second(0)), 10, 1000);
        assert_eq!(found, [0, 2, 4, 6, 8], "the first look comes at once");
    }

    #[test]
    fn a_rollout_is_looked_at_in_every_tick() {
        let mut flight = Flight::found(second(0));
        flight.looked(second(600));
        assert_eq!(flight.wait(second(610)), Duration::from_secs(140));
        assert!(!flight.is_due(second(600), second(610)));
        assert!(flight.is_due(second(610), second(610)));
    }

    #[test]
    fn a_look_that_is_overdue_is_not_tried_again_at_once() {
        let flight = Flight::begun(second(0));
        assert!(flight.is_due(second(0), second(60)));
        assert_eq!(flight.wait(second(60)), Duration::from_secs(15));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_off_a_look() {
        let mut flight = Flight::found(second(0));
        flight.looked(second(7200));
        assert!(flight.is_due(second(3600), second(3600)));
    }
}
