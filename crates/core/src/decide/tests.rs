use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::annotations::Hold;
use crate::{Digest, compare::Verdict};

mod availability;
mod convergence;
mod limits;
mod pins;
mod properties;
mod pulling;
mod retries;

/// The digest that a test calls by this letter.
fn digest(letter: char) -> Digest {
    let hex = letter.to_string().repeat(64);
    format!("sha256:{hex}")
        .parse()
        .expect("a test's own digest")
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a test's own time")
}

fn settings() -> Settings {
    Settings {
        selected: ["proxy", "web"].map(str::to_owned).into(),
        schedule: None,
        hold: None,
    }
}

/// A ready pod that pulls always.
fn pod(verdict: Verdict) -> Running {
    Running {
        verdict,
        digest: Some(digest('0')),
        names_tag: true,
        ready: true,
        pulls_always: true,
        waiting: None,
    }
}

fn current() -> Running {
    pod(Verdict::Current(Reason::Current))
}

fn stale() -> Running {
    pod(Verdict::Stale)
}

fn unknown(reason: Reason) -> Running {
    pod(Verdict::Unknown(reason))
}

fn not_started() -> Running {
    Running {
        digest: None,
        ready: false,
        ..pod(Verdict::NotStarted)
    }
}

fn waiting(waiting: Waiting, pod: Running) -> Running {
    Running {
        ready: false,
        waiting: Some(waiting),
        ..pod
    }
}

fn not_pulling(pod: Running) -> Running {
    Running {
        pulls_always: false,
        ..pod
    }
}

/// A container whose tag is at digest `a`.
fn container(name: &str, pods: &[Running]) -> Container {
    Container {
        pods: pods.to_vec(),
        ..Container::new(name, &format!("ghcr.io/team/{name}:main"), Ok(digest('a')))
    }
}

fn failing(name: &str, reason: Reason) -> Container {
    Container {
        tag: Err(reason),
        ..container(name, &[unknown(reason)])
    }
}

fn exempt(name: &str, exempt: Exemption) -> Container {
    Container {
        exempt: Some(exempt),
        ..container(name, &[current()])
    }
}

/// A workload at rest.
fn observed(containers: &[Container]) -> Observed {
    Observed::complete(containers.to_vec())
}

fn in_flight(containers: &[Container]) -> Observed {
    Observed {
        replacing: true,
        complete: false,
        ..observed(containers)
    }
}

/// The record in which each of these containers was rolled out to the digest of this letter.
fn record(entries: &[(&str, char)]) -> Record {
    let change = |(container, letter): &(&str, char)| Change {
        container: (*container).to_owned(),
        from: None,
        to: digest(*letter),
    };
    let changes: Vec<Change> = entries.iter().map(change).collect();
    let names: Vec<String> = entries
        .iter()
        .map(|(container, _)| (*container).to_owned())
        .collect();
    Record::default().after(&changes, &names)
}

fn recorded(entries: &[(&str, char)], observed: Observed) -> Observed {
    Observed {
        record: record(entries),
        ..observed
    }
}

#[track_caller]
fn assert_said(
    observed: &Observed,
    state: State,
    reason: impl Into<Option<Reason>>,
    container: &str,
) {
    let decision = decide(observed, &settings(), &Policy::default(), now());
    assert_eq!((decision.state, decision.reason), (state, reason.into()));
    assert_eq!(decision.container.as_deref().unwrap_or_default(), container);
    assert_eq!(decision.rollout, None);
}

#[track_caller]
fn assert_rolled_out(observed: &Observed, containers: &[&str]) -> Rollout {
    let decision = decide(observed, &settings(), &Policy::default(), now());
    assert_eq!(
        (decision.state, decision.reason),
        (State::RollingOut, Some(Reason::InFlight))
    );
    let rollout = decision.rollout.expect("a rollout");
    let changed: Vec<&str> = rollout
        .changes
        .iter()
        .map(|change| change.container.as_str())
        .collect();
    assert_eq!(changed, containers);
    rollout
}

#[test]
fn a_stale_container_is_rolled_out_once() {
    let mut workload = observed(&[container("web", &[stale(), current()])]);
    let rollout = assert_rolled_out(&workload, &["web"]);
    let change = Change {
        container: "web".to_owned(),
        from: Some(digest('0')),
        to: digest('a'),
    };
    assert_eq!(rollout.changes, [change]);
    assert_eq!(rollout.record, record(&[("web", 'a')]));
    workload.record = rollout.record;
    (workload.replacing, workload.complete) = (true, false);
    assert_said(&workload, State::RollingOut, Reason::InFlight, "web");
}

#[test]
fn two_stale_containers_are_one_rollout() {
    let workload = observed(&[container("web", &[stale()]), container("proxy", &[stale()])]);
    let rollout = assert_rolled_out(&workload, &["proxy", "web"]);
    assert_eq!(rollout.record, record(&[("proxy", 'a'), ("web", 'a')]));
}

#[test]
fn a_tag_that_moves_on_is_rolled_out_again_and_one_that_moves_back_too() {
    // The tag was at `a`, went to `b`, and is at `a` recheck_at: the record is that of the last rollout.
    let workload = observed(&[container("web", &[stale()])]);
    assert_rolled_out(&recorded(&[("web", 'b')], workload), &["web"]);
}

#[test]
fn workload_states_take_precedence_over_containers() {
    let stale = observed(&[container("web", &[stale()])]);
    let paused = Observed {
        paused: true,
        ..stale.clone()
    };
    assert_said(&paused, State::Paused, None, "");
    let lagging = Observed {
        generation_observed: false,
        ..stale.clone()
    };
    assert_said(&lagging, State::RollingOut, Reason::InFlight, "");
    let scaled_to_zero = Observed {
        wants_pods: false,
        ..stale
    };
    assert_said(&scaled_to_zero, State::Skipped, Reason::NoPods, "");
    assert!(
        decide(&scaled_to_zero, &settings(), &Policy::default(), now()).stale,
        "what is known to be stale is said"
    );
}

#[test]
fn a_workload_without_pods_is_skipped_once_it_is_complete() {
    let none = [container("web", &[]), exempt("proxy", Exemption::Pinned)];
    assert_said(&observed(&none), State::Skipped, Reason::NoPods, "");
    assert_said(&in_flight(&none), State::RollingOut, Reason::InFlight, "");
}

#[test]
fn recent_rollouts_guard_workloads_that_lose_the_record() {
    let remembering = |letter, age: Duration| {
        let remembered = RecentRollout {
            digest: digest(letter),
            at: now() - SignedDuration::try_from(age).expect("a short time"),
        };
        let container = Container {
            remembered: Some(remembered),
            ..container("web", &[stale()])
        };
        observed(&[container])
    };
    let minute = Duration::from_secs(60);
    let stripped = remembering('a', 59 * minute);
    assert_said(
        &stripped,
        State::NotConverging,
        Reason::RuntimeReportsAlias,
        "web",
    );
    assert_rolled_out(&remembering('a', 60 * minute), &["web"]);
    assert_rolled_out(&remembering('b', minute), &["web"]);
    // The tag went from `a` to `b` and back, and the record of `b` is there: what we remember is older than it.
    let mut other_record = remembering('b', minute);
    other_record.record = record(&[("web", 'b')]);
    assert_rolled_out(&other_record, &["web"]);
    let mut clock_set_back = remembering('a', Duration::ZERO);
    clock_set_back.containers[0].remembered = Some(RecentRollout {
        digest: digest('a'),
        at: now() + SignedDuration::from_hours(48),
    });
    assert_rolled_out(&clock_set_back, &["web"]);
}

#[test]
fn a_hold_keeps_stale_containers_from_being_rolled_out() {
    let workload = observed(&[container("web", &[stale()])]);
    let held = |hold| Settings {
        hold: Some(hold),
        ..settings()
    };
    let decision = decide(
        &workload,
        &held(Hold::Indefinitely),
        &Policy::default(),
        now(),
    );
    assert_eq!(
        (decision.state, decision.reason, decision.rollout),
        (State::Held, None, None)
    );
    assert!(decision.stale);
    let over = decide(
        &workload,
        &held(Hold::Until(now())),
        &Policy::default(),
        now(),
    );
    assert!(over.rollout.is_some());
    let up_to_date = observed(&[container("web", &[current()])]);
    let decision = decide(
        &up_to_date,
        &held(Hold::Indefinitely),
        &Policy::default(),
        now(),
    );
    assert_eq!(decision.state, State::UpToDate);
}

#[test]
fn pods_that_are_replaced_by_hand_are_left_alone() {
    let mut workload = observed(&[container("web", &[stale()])]);
    workload.on_delete = true;
    assert_said(&workload, State::Skipped, Reason::OnDelete, "web");
}

#[test]
fn up_to_date_is_reported_with_the_last_reason() {
    let with = |reason| pod(Verdict::Current(reason));
    let cases = [
        (Reason::Current, Reason::Current, Reason::Current, "proxy"),
        (
            Reason::Current,
            Reason::IndexChangedOnly,
            Reason::IndexChangedOnly,
            "web",
        ),
        (
            Reason::SameConfig,
            Reason::IndexChangedOnly,
            Reason::SameConfig,
            "proxy",
        ),
    ];
    for (proxy, web, strongest, name) in cases {
        let workload = observed(&[
            container("web", &[with(web), not_started()]),
            container("proxy", &[with(proxy)]),
            exempt("agent", Exemption::Pinned),
        ]);
        assert_said(&workload, State::UpToDate, strongest, name);
        assert!(!decide(&workload, &settings(), &Policy::default(), now()).stale);
    }
}

#[test]
fn a_workload_without_checked_containers_is_skipped() {
    let workload = observed(&[
        exempt("web", Exemption::Excluded),
        exempt("proxy", Exemption::Pinned),
    ]);
    assert_said(&workload, State::Skipped, Reason::Pinned, "proxy");
}

#[test]
fn a_rollout_drops_removed_containers_and_keeps_excluded_ones() {
    let workload = observed(&[
        container("web", &[stale()]),
        exempt("proxy", Exemption::Excluded),
    ]);
    let workload = recorded(&[("gone", 'c'), ("proxy", 'b'), ("web", 'b')], workload);
    let rollout = assert_rolled_out(&workload, &["web"]);
    assert_eq!(rollout.record, record(&[("proxy", 'b'), ("web", 'a')]));
}
