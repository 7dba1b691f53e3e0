//! When the pods of a rollout in flight are polled.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::schedule;

/// A rollout in flight, ours or another's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(super) since: Timestamp,
    /// When its pods were polled last, if they were.
    polled: Option<Timestamp>,
}

impl Flight {
    /// A rollout that begins: there is nothing to see yet.
    pub(super) const fn begun(now: Timestamp) -> Self {
        Self {
            since: now,
            polled: Some(now),
        }
    }

    /// A rollout that was found to be in flight; its pods are polled first.
    pub(super) const fn found(now: Timestamp) -> Self {
        Self {
            since: now,
            polled: None,
        }
    }

    pub(super) const fn polled(&mut self, now: Timestamp) {
        self.polled = Some(now);
    }

    /// Whether it is time to poll its pods, in a tick that began at `tick`: what its workload says of itself
    /// meanwhile, with every pod that comes or goes, does not show why it might be stuck.
    pub(crate) fn is_due(self, tick: Timestamp, now: Timestamp) -> bool {
        self.polled
            .is_none_or(|polled| polled < tick || polled > now || self.left(now).is_zero())
    }

    /// How long it is from a poll now to the next.
    pub(crate) fn pace(self, now: Timestamp) -> Duration {
        schedule::poll_after(self.since, now)
    }

    /// How long to wait for the next poll. One that is due by now has been tried: there was nothing to see yet.
    pub(crate) fn wait(self, now: Timestamp) -> Duration {
        let left = self.left(now);
        if left.is_zero() {
            return self.pace(now);
        }
        left
    }

    fn left(self, now: Timestamp) -> Duration {
        let polled = self.polled.unwrap_or(now);
        let waited = now.duration_since(polled).unsigned_abs();
        self.pace(polled).saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }

    /// When a rollout is polled if it changes every second, in ticks of so many seconds.
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
    fn the_pods_of_a_long_rollout_are_read_less_and_less_often() {
        let ours = polls(Flight::begun(second(0)), 30, 1000);
        assert_eq!(ours, [2, 4, 6, 8, 10, 13, 17, 22, 28]);
        let found = polls(Flight::found(second(0)), 10, 1000);
        assert_eq!(found, [0, 2, 4, 6, 8], "the first poll comes at once");
    }

    #[test]
    fn the_pods_of_a_rollout_are_read_in_every_tick() {
        let mut flight = Flight::found(second(0));
        flight.polled(second(600));
        assert_eq!(flight.wait(second(610)), Duration::from_secs(140));
        assert!(!flight.is_due(second(600), second(610)));
        assert!(flight.is_due(second(610), second(610)));
    }

    #[test]
    fn a_read_that_is_overdue_is_not_tried_again_at_once() {
        let flight = Flight::begun(second(0));
        assert!(flight.is_due(second(0), second(60)));
        assert_eq!(flight.wait(second(60)), Duration::from_secs(15));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_off_a_poll() {
        let mut flight = Flight::found(second(0));
        flight.polled(second(7200));
        assert!(flight.is_due(second(3600), second(3600)));
    }
}
