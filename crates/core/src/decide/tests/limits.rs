//! What puts a rollout off, and until when.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn ago(age: Duration) -> Timestamp {
    now() - age
}

/// A stale container whose tag has named its digest for so long.
fn known_for(name: &str, age: Duration) -> Container {
    Container {
        since: Some(ago(age)),
        ..container(name, &[stale()])
    }
}

/// A stale workload that was rolled out so long ago.
fn rolled_out_ago(age: Duration) -> Observed {
    let last_rollout = Some(ago(age));
    let workload = observed(&[container("web", &[stale()])]);
    Observed {
        last_rollout,
        ..recorded(&[("web", 'b')], workload)
    }
}

fn settle(settle: Duration) -> Policy {
    Policy {
        settle,
        ..Policy::default()
    }
}

fn min_interval(min_interval: Duration) -> Policy {
    Policy {
        min_interval,
        ..Policy::default()
    }
}

fn budget_spent() -> Policy {
    Policy {
        budget_spent: true,
        ..Policy::default()
    }
}

#[track_caller]
fn assert_waits(
    workload: &Observed,
    limits: &Policy,
    reason: Reason,
    container: &str,
    recheck_at: Option<Timestamp>,
) {
    let decision = decide(workload, &settings(), limits, now());
    let expected = Decision {
        state: State::Outdated,
        reason: Some(reason),
        container: Some(container.to_owned()),
        stale: true,
        in_flight: false,
        recheck_at,
        rollout: None,
    };
    assert_eq!(decision, expected);
}

#[track_caller]
fn assert_released(workload: &Observed, limits: &Policy) {
    let decision = decide(workload, &settings(), limits, now());
    assert!(decision.rollout.is_some(), "{decision:?}");
}

#[test]
fn a_digest_is_rolled_out_once_its_tag_has_named_it_for_long_enough() {
    let known = |age| observed(&[known_for("web", age)]);
    let limits = settle(MINUTE);
    let end = now() + SECOND;
    assert_waits(
        &known(59 * SECOND),
        &limits,
        Reason::Settling,
        "web",
        Some(end),
    );
    assert_released(&known(MINUTE), &limits);
    assert_released(&known(Duration::ZERO), &Policy::default());
}

#[test]
fn a_rollout_waits_until_all_that_it_would_bring_has_settled() {
    let containers = [
        known_for("agent", MINUTE),
        known_for("proxy", 10 * SECOND),
        known_for("web", 20 * SECOND),
    ];
    let end = now() + 50 * SECOND;
    let workload = observed(&containers);
    assert_waits(
        &workload,
        &settle(MINUTE),
        Reason::Settling,
        "proxy",
        Some(end),
    );
}

#[test]
fn a_registry_that_stops_answering_settles_nothing() {
    let refused = Container {
        tag: Err(Reason::Denied),
        ..known_for("proxy", 10 * SECOND)
    };
    let workload = observed(&[refused, known_for("web", MINUTE)]);
    let end = now() + 50 * SECOND;
    assert_waits(
        &workload,
        &settle(MINUTE),
        Reason::Settling,
        "proxy",
        Some(end),
    );
}

#[test]
fn a_workload_is_not_rolled_out_again_before_the_interval_is_over() {
    let limits = min_interval(MINUTE);
    let end = now() + 15 * SECOND;
    assert_waits(
        &rolled_out_ago(45 * SECOND),
        &limits,
        Reason::MinInterval,
        "web",
        Some(end),
    );
    assert_released(&rolled_out_ago(MINUTE), &limits);
    assert_released(&observed(&[container("web", &[stale()])]), &limits);
}

#[test]
fn recent_rollouts_count_if_the_workload_lost_its_annotations() {
    let remembered = Some(RecentRollout {
        digest: digest('b'),
        at: ago(SECOND),
    });
    let stripped = Container {
        remembered,
        ..container("web", &[stale()])
    };
    let end = now() + 59 * SECOND;
    assert_waits(
        &observed(&[stripped]),
        &min_interval(MINUTE),
        Reason::MinInterval,
        "web",
        Some(end),
    );
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_back_for_long() {
    let mut workload = rolled_out_ago(Duration::ZERO);
    let tomorrow = now() + 24 * 60 * MINUTE;
    workload.last_rollout = Some(tomorrow);
    workload.containers[0].since = Some(tomorrow);
    let limits = Policy {
        settle: MINUTE,
        min_interval: MINUTE,
        retry_after: [].into(),
        budget_spent: false,
        pin: false,
    };
    assert_released(&workload, &limits);
    // What was learnt a moment after the decision began is recent, too.
    workload.containers[0].since = Some(now() + SECOND);
    let end = now() + 61 * SECOND;
    assert_waits(&workload, &limits, Reason::Settling, "web", Some(end));
}

#[test]
fn a_stale_workload_waits_for_a_place_in_the_budget() {
    let workload = observed(&[container("web", &[stale()])]);
    assert_waits(
        &workload,
        &budget_spent(),
        Reason::WaitingForBudget,
        "web",
        None,
    );
    // It is none of the budget's business what is not to be rolled out.
    let current = observed(&[container("web", &[current()])]);
    let decision = decide(&current, &settings(), &budget_spent(), now());
    assert_eq!(decision.state, State::UpToDate);
    let in_flight = in_flight(&[container("web", &[stale()])]);
    let decision = decide(&in_flight, &settings(), &budget_spent(), now());
    assert_eq!(decision.state, State::RollingOut);
}

#[test]
fn of_several_limits_the_budget_is_the_last_and_a_hold_the_first() {
    let mut workload = rolled_out_ago(10 * SECOND);
    workload.containers[0].since = Some(ago(5 * SECOND));
    let mut limits = Policy {
        settle: MINUTE,
        min_interval: MINUTE,
        retry_after: [].into(),
        budget_spent: true,
        pin: false,
    };
    let end = now() + 20 * SECOND;
    let held = Settings {
        hold: Some(Hold::Until(end)),
        ..settings()
    };
    let decision = decide(&workload, &held, &limits, now());
    assert_eq!(
        (decision.state, decision.recheck_at),
        (State::Held, Some(end))
    );
    let mut blocked = workload.clone();
    blocked
        .containers
        .push(failing("proxy", Reason::TagNotFound));
    assert_waits(
        &blocked,
        &limits,
        Reason::WaitingForOtherContainer,
        "proxy",
        None,
    );
    let settled = Some(now() + 55 * SECOND);
    assert_waits(&workload, &limits, Reason::Settling, "web", settled);
    limits.settle = Duration::ZERO;
    let rested = Some(now() + 50 * SECOND);
    assert_waits(&workload, &limits, Reason::MinInterval, "web", rested);
    limits.min_interval = Duration::ZERO;
    assert_waits(&workload, &limits, Reason::WaitingForBudget, "web", None);
}
