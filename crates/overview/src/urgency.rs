//! The order of rows: most urgent first.

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_core::state::{Reason, State};

/// A failure that lasts longer is not considered transient.
const MAX_TRANSIENT: SignedDuration = SignedDuration::from_mins(15);

/// Whether a workload needs human intervention: a rollout does not converge, an annotation is invalid, or a check fails for a
/// reason that is not transient or has lasted for 15 minutes.
pub fn needs_person(
    state: State,
    reason: Option<Reason>,
    since: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    match state {
        State::NotConverging | State::InvalidConfiguration => true,
        State::Unknown => {
            let persists = since.is_some_and(|since| now.duration_since(since) >= MAX_TRANSIENT);
            persists || !reason.is_none_or(is_transient)
        }
        State::UpToDate
        | State::Outdated
        | State::RollingOut
        | State::Held
        | State::Paused
        | State::Skipped => false,
    }
}

/// The first sort key of rows, ascending, before namespace, name and kind.
pub const fn urgency(state: State, needs_person: bool) -> u8 {
    match (state, needs_person) {
        (State::NotConverging, _) => 0,
        (State::InvalidConfiguration, _) => 1,
        (State::Unknown, true) => 2,
        (State::Unknown, false) => 3,
        (State::Outdated, _) => 4,
        (State::Held, _) => 5,
        (State::RollingOut, _) => 6,
        (State::Paused, _) => 7,
        (State::Skipped, _) => 8,
        (State::UpToDate, _) => 9,
    }
}

fn is_transient(reason: Reason) -> bool {
    reason.is_transient() || reason == Reason::NotStarted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_needs_a_person_if_it_does_not_pass() {
        let now = Timestamp::UNIX_EPOCH;
        let ago = |minutes| Some(now - SignedDuration::from_mins(minutes));
        let cases = [
            (State::Unknown, Some(Reason::Denied), ago(0), true),
            (State::Unknown, Some(Reason::Timeout), ago(14), false),
            (State::Unknown, Some(Reason::Timeout), ago(15), true),
            (State::Unknown, Some(Reason::NotStarted), ago(1), false),
            (State::Unknown, None, None, false),
            (State::NotConverging, Some(Reason::InFlight), ago(0), true),
            (State::InvalidConfiguration, None, None, true),
            (State::Outdated, Some(Reason::Settling), ago(100), false),
        ];
        for (state, reason, since, expected) in cases {
            let needs = needs_person(state, reason, since, now);
            assert_eq!(needs, expected, "{state} {reason:?} {since:?}");
        }
    }

    #[test]
    fn whatever_needs_a_person_comes_before_all_others() {
        let last = State::ALL
            .iter()
            .filter(|&&state| needs_person(state, Some(Reason::Denied), None, Timestamp::MIN))
            .map(|&state| urgency(state, true));
        let first = State::ALL.iter().map(|&state| urgency(state, false));
        assert!(last.max() < first.filter(|&place| place > 2).min());
    }
}
