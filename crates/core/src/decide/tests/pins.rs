//! What new pods are pinned to.

use super::*;

fn pinning() -> Policy {
    Policy {
        pin: true,
        ..Policy::default()
    }
}

pub(super) fn image(name: &str) -> String {
    format!("ghcr.io/team/{name}:main")
}

/// These containers, each pinned to the digest of its letter.
pub(super) fn pins(entries: &[(&str, char)]) -> Pins {
    let mut pins = Pins::default();
    for (name, letter) in entries {
        pins.pin(name, &image(name), &digest(*letter));
    }
    pins
}

#[track_caller]
fn assert_pinned(observed: &Observed, expected: &[(&str, char)]) {
    let decision = decide(observed, &settings(), &pinning(), now());
    let rollout = decision.rollout.expect("a rollout");
    assert_eq!(rollout.pins, pins(expected));
    let without = decide(observed, &settings(), &Policy::default(), now());
    let without = without.rollout.expect("the same rollout");
    assert!(without.pins.is_empty());
    assert_eq!(without.changes, rollout.changes);
}

#[test]
fn a_rollout_pins_every_container_that_is_checked() {
    let moved = Container {
        tag: Ok(digest('b')),
        ..container("web", &[stale()])
    };
    let workload = observed(&[
        moved,
        container("proxy", &[current()]),
        container("starting", &[not_started()]),
        exempt("agent", Exemption::Excluded),
        exempt("fixed", Exemption::Pinned),
    ]);
    assert_pinned(
        &workload,
        &[("web", 'b'), ("proxy", 'a'), ("starting", 'a')],
    );
}

#[test]
fn an_image_that_admission_fills_in_is_not_pinned() {
    let image_replaced = Container {
        image_replaced: true,
        ..container("proxy", &[current()])
    };
    let workload = observed(&[container("web", &[stale()]), image_replaced]);
    assert_pinned(&workload, &[("web", 'a')]);
}

#[test]
fn undetermined_containers_keep_their_pins() {
    let pinned = |others: &[Container], pins: Pins| {
        let mut containers = vec![container("web", &[stale()])];
        containers.extend_from_slice(others);
        Observed {
            pins,
            ..observed(&containers)
        }
    };
    let denied = failing("proxy", Reason::Denied);
    let before = [("proxy", 'c'), ("web", 'c')];
    let expected = [("proxy", 'c'), ("web", 'a')];
    assert_pinned(
        &pinned(std::slice::from_ref(&denied), pins(&before)),
        &expected,
    );
    assert_pinned(&pinned(&[denied], Pins::default()), &[("web", 'a')]);
    let doubt = container("proxy", &[unknown(Reason::Denied)]);
    assert_pinned(
        &pinned(std::slice::from_ref(&doubt), pins(&before)),
        &expected,
    );
    let tag = [("proxy", 'a'), ("web", 'a')];
    assert_pinned(&pinned(&[doubt], Pins::default()), &tag);
    let cached = container("proxy", &[not_pulling(stale())]);
    assert_pinned(&pinned(&[cached], Pins::default()), &[("web", 'a')]);
}

#[test]
fn a_pin_of_an_image_that_was_edited_does_not_count() {
    let mut other = Pins::default();
    other.pin("proxy", "ghcr.io/team/proxy:next", &digest('c'));
    let workload = Observed {
        pins: other,
        ..observed(&[
            container("web", &[stale()]),
            failing("proxy", Reason::Denied),
        ])
    };
    assert_pinned(&workload, &[("web", 'a')]);
}

#[test]
fn unpinned_pods_are_reported_without_a_rollout() {
    let with = |name: &str, pinned, pods: &[Running]| Container {
        pinned,
        ..container(name, pods)
    };
    let one = [
        with("proxy", Some(true), &[current()]),
        with("web", Some(false), &[current()]),
    ];
    assert_said(&observed(&one), State::UpToDate, Reason::NotPinned, "web");
    let all = [
        with("proxy", None, &[current()]),
        with("web", Some(true), &[current()]),
    ];
    assert_said(&observed(&all), State::UpToDate, Reason::Current, "proxy");
    let outdated = observed(&[with("web", Some(false), &[stale()])]);
    assert_rolled_out(&outdated, &["web"]);
    let done = recorded(&[("web", 'a')], in_flight(&one));
    assert_said(&done, State::RollingOut, Reason::InFlight, "");
}

/// A workload that went back to `b` from a rollout of what its tag names, which this process remembers.
fn rolled_back() -> Observed {
    let remembered = RecentRollout {
        digest: digest('a'),
        at: now() - SignedDuration::from_mins(5),
    };
    let web = Container {
        rolled_back: true,
        remembered: Some(remembered),
        ..container("web", &[stale()])
    };
    recorded(&[("web", 'b')], observed(&[web]))
}

#[test]
fn a_rolled_back_digest_is_held_until_the_tag_moves_or_the_owner_allows_it() {
    let workload = rolled_back();
    assert_said(&workload, State::Held, Reason::RolledBack, "web");
    let decision = decide(&workload, &settings(), &Policy::default(), now());
    assert!(decision.stale && decision.recheck_at.is_none());
    let with = |hold| {
        let hold = Some(hold);
        let settings = Settings { hold, ..settings() };
        decide(&workload, &settings, &Policy::default(), now())
    };
    let released = with(Hold::Off).rollout.expect("a rollout");
    assert_eq!(released.record, record(&[("web", 'a')]));
    let held = with(Hold::Indefinitely);
    assert_eq!((held.state, held.reason), (State::Held, None));
    let past = with(Hold::Until(now()));
    assert_eq!(past.reason, Some(Reason::RolledBack));

    let mut moved = rolled_back();
    moved.containers[0].rolled_back = false;
    moved.containers[0].tag = Ok(digest('c'));
    assert_rolled_out(&moved, &["web"]);
    let mut on_its_way = rolled_back();
    (on_its_way.replacing, on_its_way.complete) = (true, false);
    assert_said(&on_its_way, State::RollingOut, Reason::InFlight, "web");
    let mut follows = rolled_back();
    follows.containers[0].pods = vec![current()];
    assert_said(&follows, State::UpToDate, Reason::Current, "web");
}

#[test]
fn a_push_of_another_container_does_not_end_a_hold() {
    let mut workload = rolled_back();
    workload.containers.push(container("proxy", &[stale()]));
    assert_said(&workload, State::Held, Reason::RolledBack, "web");
}

#[test]
fn a_rollout_of_another_container_waits_while_the_rolled_back_one_is_undetermined() {
    let undetermined = [
        (Ok(digest('a')), vec![unknown(Reason::Denied)]),
        (Ok(digest('a')), vec![not_started()]),
        (Err(Reason::Denied), vec![stale()]),
    ];
    for (tag, pods) in undetermined {
        let mut workload = rolled_back();
        let web = &mut workload.containers[0];
        (web.tag, web.pods) = (tag, pods);
        workload.containers.push(container("proxy", &[stale()]));
        assert_said(&workload, State::Held, Reason::RolledBack, "web");
        workload.containers[0].rolled_back = false;
        assert_rolled_out(&workload, &["proxy"]);
    }
    let mut kept = recorded(&[("web", 'a')], rolled_back());
    kept.containers.push(container("proxy", &[stale()]));
    assert_rolled_out(&kept, &["proxy"]);
}
