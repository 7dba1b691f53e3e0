//! Polling of the pods of a rollout in flight.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::schedule;

/// A rollout in flight, triggered by us or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(super) since: Timestamp,
    /// The last poll of its pods.
    polled: Option<Timestamp>,
}

impl Flight {
    /// A rollout that starts now. Its pods are polled after a first interval.
    pub(super) const fn started(now: Timestamp) -> Self {
        Self {
            since: now,
            polled: Some(now),
        }
    }

    /// A rollout that was already in flight. Its pods are polled immediately.
    pub(super) const fn ongoing(now: Timestamp) -> Self {
        Self {
            since: now,
            polled: None,
        }
    }

    pub(super) const fn polled(&mut self, now: Timestamp) {
        self.polled = Some(now);
    }

    /// Whether a poll of its pods is due, in a tick that began at `tick`. The workload's own status changes with every pod,
    /// but does not show why a rollout is stuck.
    pub(crate) fn is_due(self, tick: Timestamp, now: Timestamp) -> bool {
        self.polled
            .is_none_or(|polled| polled < tick || polled > now || self.left(now).is_zero())
    }

    /// The interval from a poll now to the next one.
    pub(crate) fn interval(self, now: Timestamp) -> Duration {
        schedule::poll_after(self.since, now)
    }

    /// The time until the next poll. A poll that is due was already attempted in this reconcile.
    pub(crate) fn wait(self, now: Timestamp) -> Duration {
        let left = self.left(now);
        if left.is_zero() {
            return self.interval(now);
        }
        left
    }

    fn left(self, now: Timestamp) -> Duration {
        let polled = self.polled.unwrap_or(now);
        let waited = now.duration_since(polled).unsigned_abs();
        self.interval(polled).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    /// The times of the polls of a rollout that changes every second, with a tick of this many seconds.
    fn polls(mut flight: Flight, seconds: i64, tick: i64) -> Vec<i64> {
        let mut polls = Vec::new();
        for now in 0..seconds {
            if flight.is_due(second(now - now % tick), second(now)) {
                flight.polled(second(now));
                polls.push(now);
            }
        }
        polls
    }

    #[test]
    fn the_pods_of_a_long_rollout_are_polled_less_and_less_often() {
        let ours = polls(Flight::started(second(0)), 30, 1000);
        assert_eq!(ours, [2, 4, 6, 8, 10, 13, 17, 22, 28]);
        let ongoing = polls(Flight::ongoing(second(0)), 10, 1000);
        assert_eq!(ongoing, [0, 2, 4, 6, 8], "the first poll is immediate");
    }

    #[test]
    fn the_pods_of_a_rollout_are_polled_in_every_tick() {
        let mut flight = Flight::ongoing(second(0));
        flight.polled(second(600));
        assert_eq!(flight.wait(second(610)), Duration::from_secs(140));
        assert!(!flight.is_due(second(600), second(610)));
        assert!(flight.is_due(second(610), second(610)));
    }

    #[test]
    fn an_overdue_poll_is_not_retried_immediately() {
        let flight = Flight::started(second(0));
        assert!(flight.is_due(second(0), second(60)));
        assert_eq!(flight.wait(second(60)), Duration::from_secs(15));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_delay_a_poll() {
        let mut flight = Flight::ongoing(second(0));
        flight.polled(second(7200));
        assert!(flight.is_due(second(3600), second(3600)));
    }
}
