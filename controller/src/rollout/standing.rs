//! Where a workload was last found to stand.

use std::num::NonZeroU32;

use jiff::Timestamp;
use kube_autorollout_core::state::{Reason, State};

/// What a workload was last found to be. Decisions do not rest on it; it is for those who ask. There is one of each workload
/// for as long as it is selected, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: State,
    pub(crate) reason: Option<Reason>,
    /// The place in the pod template of the container that decided it.
    pub(crate) container: Option<u8>,
    /// When the reconcile began.
    pub(crate) at: Timestamp,
    /// Since when it has been in this state for this reason.
    since: Second,
    /// When it is reconciled next, if that is known.
    next: Option<Second>,
    /// When what holds a rollout back ends, or one is repeated, if that is known.
    attempt: Option<Second>,
}

/// When a workload is decided upon again.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Again {
    /// When it is reconciled next.
    pub(crate) next: Option<Timestamp>,
    /// When what holds a rollout back ends, or one is repeated.
    pub(crate) attempt: Option<Timestamp>,
}

impl Standing {
    /// What it is found to be now, after what it was `before`.
    pub(crate) fn found(
        (state, reason, container): (State, Option<Reason>, Option<u8>),
        (at, again): (Timestamp, Again),
        before: Option<&Self>,
    ) -> Self {
        let same = before.filter(|before| before.state == state && before.reason == reason);
        Self {
            state,
            reason,
            container,
            at,
            since: same.map_or_else(|| Second::of(at), |same| same.since),
            next: again.next.map(Second::of),
            attempt: again.attempt.map(Second::of),
        }
    }

    /// Since when it has been in this state for this reason, to the second.
    pub(crate) fn since(&self) -> Timestamp {
        self.since.timestamp()
    }

    /// When it is reconciled next, if that is known, to the second.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next.map(Second::timestamp)
    }

    /// When what holds a rollout back ends, or one is repeated, if that is known, to the second.
    pub(crate) fn attempt(&self) -> Option<Timestamp> {
        self.attempt.map(Second::timestamp)
    }
}

/// A second between 1970 and 2106, in a quarter of what an optional [`Timestamp`] takes.
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
    fn it_lasts_as_long_as_state_and_reason_do() {
        let second = |second| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        let found = |state, reason, at, before: Option<&Standing>| {
            let again = Again::default();
            Standing::found((state, reason, Some(1)), (second(at), again), before)
        };
        let first = found(State::Held, None, 10, None);
        let same = found(State::Held, None, 20, Some(&first));
        assert_eq!((same.since(), same.at), (second(10), second(20)));
        let other = found(State::Held, Some(Reason::Settling), 30, Some(&same));
        assert_eq!(other.since(), second(30));
    }

    #[test]
    fn it_takes_no_more_than_half_a_cache_line() {
        assert!(size_of::<Option<Standing>>() <= 32);
    }

    #[test]
    fn seconds_outside_of_their_range_are_its_ends() {
        assert_eq!(Second::of(Timestamp::MIN).timestamp().as_second(), 1);
        let last = Second::of(Timestamp::MAX).timestamp();
        assert_eq!(last.as_second(), i64::from(u32::MAX));
    }
}
