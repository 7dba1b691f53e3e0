//! Each violation is found where it is, and not where it is not.

mod end;
mod pins;
mod repeated;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::chaos::history::{Answer, Move, Pod, Run, Span, Unanswered, Wish};

/// A moment of a test's own time, in seconds.
fn second(second: f64) -> Timestamp {
    let millis = SignedDuration::from_secs_f64(second);
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1000) + millis
}

fn span(begun: f64, done: f64) -> Span {
    Span {
        begun: second(begun),
        done: second(done),
    }
}

fn name() -> Name {
    Name {
        namespace: "one".to_owned(),
        resource: "deployments".to_owned(),
        name: "web".to_owned(),
    }
}

fn moved(at: f64, version: &str) -> Move {
    Move {
        tag: "app:1".to_owned(),
        span: span(at, at + 0.1),
        digest: format!("digest {version}"),
        config: format!("config {version}"),
    }
}

fn answered(at: f64, version: &str) -> Answer {
    Answer {
        tag: "app:1".to_owned(),
        at: second(at),
        digest: format!("digest {version}"),
    }
}

fn patched(at: f64, version: &str) -> Patch {
    Patch {
        name: name(),
        at: second(at),
        record: BTreeMap::from([("app".to_owned(), format!("digest {version}"))]),
        attempts: BTreeMap::new(),
        pins: BTreeMap::new(),
        restarted_at: Some(second(at - 0.01)),
    }
}

fn ran(version: &str, from: f64, to: Option<f64>) -> Run {
    Run {
        namespace: "one".to_owned(),
        workload: "web".to_owned(),
        container: "app".to_owned(),
        image: "app:1".to_owned(),
        pin: None,
        config: format!("config {version}"),
        ready: true,
        pod_since: second(from),
        from: second(from),
        to: to.map(second),
    }
}

/// Version 1 from the start, version 2 at second 100, and a rollout at second 102.
fn fine() -> History {
    History {
        subjects: vec![Subject {
            name: name(),
            tags: BTreeMap::from([("app".to_owned(), "app:1".to_owned())]),
            rolls: true,
            wish: Wish::ROLL_OUT,
            changes: Vec::new(),
            pods: 1,
            crowded: false,
        }],
        moves: vec![moved(0.0, "1"), moved(100.0, "2")],
        answers: vec![answered(50.0, "1"), answered(101.0, "2")],
        patches: vec![patched(102.0, "2")],
        runs: vec![ran("1", 1.0, Some(103.0)), ran("2", 102.5, None)],
        pods: vec![pod(true)],
        retry_after: [2, 6, 30].map(SignedDuration::from_secs).into(),
        ..History::default()
    }
}

fn pod(newest: bool) -> Pod {
    Pod {
        namespace: "one".to_owned(),
        workload: "web".to_owned(),
        newest,
    }
}

fn finding(name: Name, at: Timestamp, violation: Violation) -> Finding {
    let at = Some(at);
    Finding {
        name,
        at,
        violation,
    }
}

fn violations(history: &History) -> Vec<Finding> {
    judge(history).violations
}

#[test]
fn a_rollout_for_each_move_is_fine() {
    let mut history = fine();
    assert_eq!(judge(&history), Verdict::default());
    // Back to the first version, and once more to the second.
    history.moves.extend([moved(110.0, "1"), moved(120.0, "2")]);
    history
        .answers
        .extend([answered(111.0, "1"), answered(121.0, "2")]);
    history
        .patches
        .extend([patched(112.0, "1"), patched(122.0, "2")]);
    history.runs[1].to = Some(second(113.0));
    history
        .runs
        .extend([ran("1", 112.5, Some(123.0)), ran("2", 122.5, None)]);
    assert_eq!(judge(&history), Verdict::default());
}

#[test]
fn a_second_patch_for_one_move_is_found() {
    let mut history = fine();
    history.patches.push(patched(102.4, "2"));
    let (name, at) = (name(), second(102.4));
    assert_eq!(violations(&history), [finding(name, at, Violation::Twice)]);
}

#[test]
fn a_patch_of_pods_that_run_what_the_tag_names_is_found() {
    let mut history = fine();
    // They were replaced long before.
    history.runs = vec![ran("1", 1.0, Some(80.0)), ran("2", 80.0, None)];
    let (name, at) = (name(), second(102.0));
    assert_eq!(
        violations(&history),
        [finding(name, at, Violation::NoDifference)]
    );
    // Nothing ran at all, so nothing differed.
    history.runs = vec![ran("1", 1.0, Some(80.0)), ran("2", 102.5, None)];
    assert_eq!(violations(&history).len(), 1);
    // The last other pod was replaced while the patch was on its way.
    history.runs = vec![ran("1", 1.0, Some(101.5)), ran("2", 101.5, None)];
    let verdict = judge(&history);
    assert_eq!((verdict.violations, verdict.raced), (Vec::new(), 1));
}

#[test]
fn a_patch_for_another_attestation_of_the_same_image_is_found() {
    let mut history = fine();
    history.moves[1].config = "config 1".to_owned();
    history.runs = vec![ran("1", 1.0, None)];
    let (name, at) = (name(), second(102.0));
    assert_eq!(
        violations(&history),
        [finding(name, at, Violation::NoDifference)]
    );
}

#[test]
fn a_patch_that_a_move_overtook_is_counted_and_the_next_one_is_no_second() {
    let mut history = fine();
    history.moves.push(moved(101.5, "3"));
    history.answers.push(answered(104.0, "3"));
    history.patches.push(patched(105.0, "3"));
    history.runs = vec![
        ran("1", 1.0, Some(103.0)),
        ran("2", 101.4, Some(105.5)),
        ran("3", 105.5, None),
    ];
    let verdict = judge(&history);
    assert_eq!((verdict.violations, verdict.raced), (Vec::new(), 1));
}

#[test]
fn a_patch_to_what_was_never_pushed_or_not_answered_lately_is_found() {
    let mut history = fine();
    history.patches[0]
        .record
        .insert("app".to_owned(), "digest of a lie".to_owned());
    let found = violations(&history);
    assert!(
        matches!(
            found[..],
            [Finding {
                violation: Violation::NeverPushed { .. },
                ..
            }]
        ),
        "{found:?}"
    );

    let mut history = fine();
    history.answers[1].at = second(70.0);
    let found = violations(&history);
    assert!(
        matches!(
            found[..],
            [Finding {
                violation: Violation::NotAnswered,
                ..
            }]
        ),
        "{found:?}"
    );
}

#[test]
fn a_patch_against_the_owners_wish_is_found_but_for_the_time_that_a_change_takes() {
    let ruled_out = [
        Wish {
            selected: false,
            ..Wish::ROLL_OUT
        },
        Wish {
            held: true,
            ..Wish::ROLL_OUT
        },
        Wish {
            paused: true,
            ..Wish::ROLL_OUT
        },
    ];
    for wish in ruled_out {
        let mut history = fine();
        let mut found = |changes: Vec<(Span, Wish)>| {
            history.subjects[0].changes = changes;
            violations(&history)
        };
        let (name, at) = (name(), second(102.0));
        let unwanted = [finding(name, at, Violation::Unwanted)];
        let back = (span(110.0, 110.1), Wish::ROLL_OUT);
        assert_eq!(
            found(vec![(span(90.0, 101.9), wish), back]),
            unwanted,
            "{wish:?}"
        );
        assert_eq!(found(vec![(span(90.0, 102.1), wish), back]), []);
        assert_eq!(
            found(vec![
                (span(90.0, 91.0), wish),
                (span(101.0, 103.0), Wish::ROLL_OUT)
            ]),
            []
        );
        assert_eq!(found(vec![(span(103.0, 103.1), wish)]), []);
    }
    let mut history = fine();
    history.subjects[0].rolls = false;
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Unwanted,
            ..
        }]
    ));
}

#[test]
fn a_patch_of_somebody_elses_workload_is_found() {
    let mut history = fine();
    history.patches[0].name.namespace = "two".to_owned();
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Stranger,
            ..
        }]
    ));
}

#[test]
fn of_two_containers_the_one_that_moved_justifies_a_patch() {
    let mut history = fine();
    history.subjects[0]
        .tags
        .insert("side".to_owned(), "side:1".to_owned());
    history.moves.insert(
        0,
        Move {
            tag: "side:1".to_owned(),
            ..moved(0.0, "s")
        },
    );
    history.runs.push(Run {
        container: "side".to_owned(),
        ..ran("s", 1.0, None)
    });
    assert_eq!(violations(&history), []);
    history.moves.push(Move {
        tag: "side:1".to_owned(),
        ..moved(200.0, "t")
    });
    history.answers.push(Answer {
        tag: "side:1".to_owned(),
        ..answered(201.0, "t")
    });
    let mut patch = patched(202.0, "2");
    patch
        .record
        .insert("side".to_owned(), "digest t".to_owned());
    history.patches.push(patch);
    history.runs[2].to = Some(second(203.0));
    history.runs.push(Run {
        container: "side".to_owned(),
        ..ran("t", 202.5, None)
    });
    assert_eq!(violations(&history), []);
    history.patches.push(Patch {
        at: second(202.2),
        ..history.patches[1].clone()
    });
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Twice,
            ..
        }]
    ));
}
