//! What pods with pins ran.

use super::*;

/// The image that a container is pinned to.
fn pin(version: &str) -> String {
    format!("app:1@digest {version}")
}

/// Rolled out with a pin, and a pod of it that begins to run after the tag has moved on.
fn pinned() -> History {
    let mut history = fine();
    history.patches[0].pins = BTreeMap::from([("app".to_owned(), pin("2"))]);
    history.moves.push(moved(200.0, "3"));
    let wish = Wish {
        held: true,
        ..Wish::ROLL_OUT
    };
    history.subjects[0].changes.push((span(150.0, 150.1), wish));
    history.runs[1] = run("2", Some("2"));
    history
}

/// A container of the template that version 2 was rolled out to, which runs this version.
fn run(version: &str, pinned_to: Option<&str>) -> Run {
    let image = pinned_to.map_or_else(|| "app:1".to_owned(), pin);
    Run {
        image,
        pin: Some(pin("2")),
        ..ran(version, 210.0, None)
    }
}

#[test]
fn a_pod_that_runs_what_was_rolled_out_to_its_template_is_fine_whatever_the_tag_names() {
    let verdict = judge(&pinned());
    assert_eq!((verdict.violations, verdict.pinned), (Vec::new(), 1));
}

#[test]
fn a_pod_that_runs_what_the_tag_names_in_the_place_of_its_pin_is_found() {
    let table = [
        run("3", None),      // not pinned
        run("2", None),      // not pinned, although it runs the right image
        run("3", Some("3")), // pinned to what was not rolled out
        run("3", Some("2")), // the node pulled another image than the digest
    ];
    for run in table {
        let mut history = pinned();
        let violation = Violation::NotPinned {
            container: "app".to_owned(),
            image: run.image.clone(),
        };
        let expected = finding(name(), run.from, violation);
        history.runs[1] = run;
        assert_eq!(judge(&history).violations, [expected]);
    }
}

#[test]
fn a_pin_that_no_rollout_wrote_is_found() {
    let mut history = pinned();
    history.patches[0].pins = BTreeMap::from([("app".to_owned(), pin("1"))]);
    let violations = judge(&history).violations;
    assert!(
        matches!(
            *violations,
            [Finding {
                violation: Violation::NotPinned { .. },
                ..
            }]
        ),
        "{violations:?}"
    );
}

#[test]
fn an_image_that_admission_changed_before_it_could_be_pinned_is_left_out() {
    let mut history = pinned();
    history.runs[1] = Run {
        image: "mirror/app:1".to_owned(),
        ..run("3", None)
    };
    let verdict = judge(&history);
    assert_eq!((verdict.violations, verdict.pinned), (Vec::new(), 0));
}

/// Nothing in the log of the API server shows that a patch wrote the pin.
fn pinned_unseen() -> History {
    let mut history = pinned();
    history.patches[0].pins = BTreeMap::from([("app".to_owned(), pin("1"))]);
    history
}

#[test]
fn a_patch_that_failed_in_the_api_server_may_have_written_the_pin() {
    let mut history = pinned_unseen();
    history.failed.push(Patch {
        pins: BTreeMap::from([("app".to_owned(), pin("2"))]),
        ..history.patches[0].clone()
    });
    let verdict = judge(&history);
    assert_eq!((verdict.violations, verdict.pinned), (Vec::new(), 1));
}

#[test]
fn a_patch_without_a_response_may_have_written_the_pin_of_what_the_registry_had_answered() {
    let unanswered = |workload: &str, at| Unanswered {
        workload: workload.to_owned(),
        at: second(at),
    };
    // Before it ran, after it ran, before the registry had given the digest, and of another workload
    let table = [
        (unanswered("one/web", 205.0), true),
        (unanswered("one/web", 215.0), false),
        (unanswered("one/web", 0.0), false),
        (unanswered("one/api", 205.0), false),
    ];
    for (unanswered, expected) in table {
        let mut history = pinned_unseen();
        history.unanswered.push(unanswered.clone());
        let verdict = judge(&history);
        assert_eq!(verdict.violations.is_empty(), expected, "{unanswered:?}");
    }
}
