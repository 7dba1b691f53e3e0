//! Rollouts that are repeated, as their pods run another image although they are over.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn policy() -> Policy {
    Policy {
        retry_after: [10, 60, 360].map(|minutes| minutes * MINUTE).into(),
        ..Policy::default()
    }
}

/// A workload that was rolled out to `a` for the so-manieth time, so long ago, and whose pods run another image.
fn left_behind(attempt: u32, age: Duration, pods: &[Running]) -> Observed {
    let attempts = format!(r#"{{"web":{attempt}}}"#);
    Observed {
        attempts: Attempts::parse(&attempts).expect("attempts"),
        last_rollout: Some(now() - SignedDuration::try_from(age).expect("a short time")),
        ..recorded(&[("web", 'a')], observed(&[container("web", pods)]))
    }
}

fn decided(observed: &Observed) -> Decision {
    decide(observed, &settings(), &policy(), now())
}

#[track_caller]
fn assert_left_alone(observed: &Observed, state: State, reason: Reason) {
    let decision = decided(observed);
    assert_eq!((decision.state, decision.reason), (state, Some(reason)));
    assert_eq!((decision.rollout, decision.recheck_at), (None, None));
}

#[test]
fn a_rollout_whose_pods_run_another_image_is_repeated_after_each_wait_and_then_no_more() {
    for (attempt, wait) in [(1, 10), (2, 60), (3, 360)] {
        let early = left_behind(attempt, (wait - 1) * MINUTE, &[stale(), current()]);
        let decision = decided(&early);
        assert_eq!(decision.state, State::NotConverging, "attempt {attempt}");
        assert_eq!(decision.reason, Some(Reason::RuntimeReportsAlias));
        assert_eq!(
            decision.recheck_at,
            Some(now() + MINUTE),
            "attempt {attempt}"
        );
        assert_eq!(decision.rollout, None);

        let due = left_behind(attempt, wait * MINUTE, &[stale(), current()]);
        let rollout = decided(&due).rollout.expect("another attempt");
        assert_eq!(rollout.record, record(&[("web", 'a')]));
        assert_eq!(rollout.attempts.count("web"), attempt + 1);
    }
    let last = left_behind(4, 9999 * MINUTE, &[stale()]);
    assert_left_alone(&last, State::NotConverging, Reason::RuntimeReportsAlias);
}

#[test]
fn only_a_rollout_that_is_over_and_pulled_is_repeated() {
    let due = |pods: &[Running]| left_behind(1, 30 * MINUTE, pods);
    assert!(decided(&due(&[stale()])).rollout.is_some());
    let waits = waiting(Waiting::CrashLoopBackOff, stale());
    let crashing = due(&[stale(), waits]);
    assert_left_alone(&crashing, State::NotConverging, Reason::CrashLoopBackOff);
    let cached = due(&[not_pulling(stale())]);
    assert_left_alone(&cached, State::NotConverging, Reason::PullPolicy);
    let unready = Running {
        ready: false,
        ..stale()
    };
    assert_left_alone(
        &due(std::slice::from_ref(&unready)),
        State::RollingOut,
        Reason::InFlight,
    );
    let replacing = Observed {
        replacing: true,
        complete: false,
        ..due(&[stale()])
    };
    assert_left_alone(&replacing, State::RollingOut, Reason::InFlight);
    // One that never becomes ready is not waited for beyond the deadline.
    let late = Observed {
        deadline_exceeded: true,
        complete: false,
        ..due(&[unready])
    };
    assert!(decided(&late).rollout.is_some());
}

#[test]
fn a_rollout_at_an_unknown_time_is_not_repeated() {
    let timeless = Observed {
        last_rollout: None,
        ..left_behind(1, MINUTE, &[stale()])
    };
    assert_left_alone(&timeless, State::NotConverging, Reason::RuntimeReportsAlias);
}

#[test]
fn another_digest_is_rolled_out_at_once_and_ends_the_count() {
    let moved = Observed {
        record: record(&[("web", 'b')]),
        ..left_behind(3, MINUTE, &[stale()])
    };
    let rollout = decided(&moved).rollout.expect("a rollout");
    assert!(rollout.attempts.is_empty());
}

#[test]
fn a_repeated_rollout_is_subject_to_all_limits() {
    let due = left_behind(1, 30 * MINUTE, &[stale()]);
    let held = Settings {
        hold: Some(Hold::Indefinitely),
        ..settings()
    };
    assert_eq!(decide(&due, &held, &policy(), now()).state, State::Held);
    let spent = Policy {
        budget_spent: true,
        ..policy()
    };
    let decision = decide(&due, &settings(), &spent, now());
    assert_eq!(decision.reason, Some(Reason::WaitingForBudget));
}

#[test]
fn without_a_record_a_recent_rollout_is_not_repeated_early() {
    let mut stripped = left_behind(1, 30 * MINUTE, &[stale()]);
    stripped.record = Record::default();
    stripped.containers[0].remembered = Some(RecentRollout {
        digest: digest('a'),
        at: now() - SignedDuration::from_mins(30),
    });
    assert_left_alone(&stripped, State::NotConverging, Reason::RuntimeReportsAlias);
}
