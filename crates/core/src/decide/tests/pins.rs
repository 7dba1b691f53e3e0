//! What new pods are pinned to.

use super::*;

fn pinning() -> Policy {
    Policy {
        pin: true,
        ..Policy::default()
    }
}

fn image(name: &str) -> String {
    format!("ghcr.io/team/{name}:main")
}

/// These containers, each pinned to the digest of its letter.
fn pins(entries: &[(&str, char)]) -> Pins {
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
        exempt("agent", Exempt::Excluded),
        exempt("fixed", Exempt::Pinned),
    ]);
    assert_pinned(
        &workload,
        &[("web", 'b'), ("proxy", 'a'), ("starting", 'a')],
    );
}

#[test]
fn what_cannot_be_known_stays_what_it_was_pinned_to() {
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
