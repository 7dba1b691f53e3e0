//! The condition of a workload at its last reconcile.

use std::num::NonZeroU32;

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};

/// The condition of a workload at its last reconcile, for the overview and for hints that wait. Decisions do not rest on it.
/// It is kept for each selected workload, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) state: State,
    pub(crate) reason: Option<Reason>,
    /// The index in the pod template of the container that determined the state.
    pub(crate) container: Option<u8>,
    /// The start of the reconcile.
    pub(crate) at: Timestamp,
    /// The last transition to this state and reason.
    since: Second,
    /// The next reconcile.
    next: Option<Second>,
    /// The next attempt to roll out.
    attempt: Option<Second>,
}

/// The known times of future events of a workload.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Upcoming {
    /// The next reconcile.
    pub(crate) reconcile: Option<Timestamp>,
    /// The next attempt to roll out: a delay ends, or a rollout is repeated.
    pub(crate) attempt: Option<Timestamp>,
}

impl Condition {
    /// The condition that a reconcile found, which began at that time; `before` is the previous one.
    pub(super) fn new(
        (state, reason, container): (State, Option<Reason>, Option<u8>),
        at: Timestamp,
        upcoming: Upcoming,
        before: Option<&Self>,
    ) -> Self {
        let same = before.filter(|before| before.state == state && before.reason == reason);
        Self {
            state,
            reason,
            container,
            at,
            since: same.map_or_else(|| Second::of(at), |same| same.since),
            next: upcoming.reconcile.map(Second::of),
            attempt: upcoming.attempt.map(Second::of),
        }
    }

    /// The last transition to this state and reason, in whole seconds.
    pub(crate) fn since(&self) -> Timestamp {
        self.since.timestamp()
    }

    /// The next reconcile, in whole seconds; `None` if it is unknown.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next.map(Second::timestamp)
    }

    /// The next attempt to roll out, in whole seconds; `None` if it is unknown.
    pub(crate) fn attempt(&self) -> Option<Timestamp> {
        self.attempt.map(Second::timestamp)
    }
}

/// A second between 1970 and 2106, in a quarter of the size of an optional [`Timestamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Second(NonZeroU32);

impl Second {
    fn of(then: Timestamp) -> Self {
        let second = then.as_second().max(1);
        let second = u32::try_from(second).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(second).unwrap_or(NonZeroU32::MIN))
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_second(self.0.get().into()).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_transition_is_a_change_of_state_or_reason() {
        let second = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let found = |state, reason, at, before: Option<&Condition>| {
            let upcoming = Upcoming::default();
            Condition::new((state, reason, Some(1)), second(at), upcoming, before)
        };
        let first = found(State::Held, None, 10, None);
        let same = found(State::Held, None, 20, Some(&first));
        assert_eq!((same.since(), same.at), (second(10), second(20)));
        let other = found(State::Held, Some(Reason::Settling), 30, Some(&same));
        assert_eq!(other.since(), second(30));
    }

    #[test]
    fn it_fits_into_half_a_cache_line() {
        assert!(size_of::<Option<Condition>>() <= 32);
    }

    #[test]
    fn seconds_out_of_range_are_clamped() {
        assert_eq!(Second::of(Timestamp::MIN).timestamp().as_second(), 1);
        let last = Second::of(Timestamp::MAX).timestamp();
        assert_eq!(last.as_second(), i64::from(u32::MAX));
    }
}
