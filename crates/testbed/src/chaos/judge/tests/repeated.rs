//! Rollouts of a digest that is on record already.

use super::*;

/// The rollout of [`fine`] is over at second 103 and its ready pod runs version 1, of a mirror that lags until second 150;
/// the digest is rolled out again at these seconds.
fn repeated(attempts: &[f64]) -> History {
    let mut history = fine();
    let mut begun = 102.5;
    history.runs = vec![ran("1", 1.0, Some(103.0))];
    for (attempt, at) in (2..).zip(attempts) {
        history.answers.push(answered(at - 1.0, "2"));
        history.patches.push(Patch {
            attempts: BTreeMap::from([("app".to_owned(), attempt)]),
            ..patched(*at, "2")
        });
        history.runs.push(ran("1", begun, Some(at + 0.5)));
        begun = at + 0.3;
    }
    history.runs.push(ran("2", begun, None));
    history
}

fn app() -> String {
    "app".to_owned()
}

#[test]
fn three_further_attempts_after_their_waits_are_fine_and_counted() {
    for (attempts, count) in [
        (&[104.0][..], 1),
        (&[104.5, 110.6], 2),
        (&[104.0, 110.0, 140.0], 3),
    ] {
        let verdict = judge(&repeated(attempts));
        assert_eq!((verdict.violations, verdict.repeated), (Vec::new(), count));
    }
}

#[test]
fn a_fourth_further_attempt_is_found() {
    let found = violations(&repeated(&[104.0, 110.0, 140.0, 200.0]));
    let violation = Violation::TooOften {
        container: app(),
        attempt: 5,
    };
    let too_often = finding(name(), second(200.0), violation);
    assert_eq!(found, [too_often]);
}

#[test]
fn a_further_attempt_before_its_wait_is_over_is_found() {
    for (attempts, at) in [(&[103.9][..], 103.9), (&[104.0, 109.9], 109.9)] {
        let violation = Violation::TooSoon { container: app() };
        let too_soon = finding(name(), second(at), violation);
        assert_eq!(violations(&repeated(attempts)), [too_soon]);
    }
    let mut history = repeated(&[104.0]);
    history.patches[1].restarted_at = None;
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::TooSoon { .. },
            ..
        }]
    ));
}

#[test]
fn a_further_attempt_without_a_ready_pod_of_the_rollout_that_runs_another_image_is_found() {
    let violation = Violation::NoCause { container: app() };
    let no_cause = finding(name(), second(104.0), violation);
    let mut unready = repeated(&[104.0]);
    unready.runs[1].ready = false;
    let mut older = repeated(&[104.0]);
    older.runs[1].pod_since = second(1.0);
    let mut current = repeated(&[104.0]);
    current.runs[1].config = "config 2".to_owned();
    for history in [unready, older, current] {
        assert_eq!(violations(&history), std::slice::from_ref(&no_cause));
    }
}

#[test]
fn a_digest_that_is_rolled_out_again_without_being_counted_is_found() {
    let mut history = repeated(&[104.0]);
    history.patches[1].attempts.clear();
    let (name, at) = (name(), second(104.0));
    assert_eq!(violations(&history), [finding(name, at, Violation::Twice)]);
}

#[test]
fn attempts_that_are_forgotten_or_skipped_or_taken_over_by_another_digest_are_found() {
    let miscounted = |history: &History| {
        let found = violations(history);
        assert!(
            matches!(
                found[..],
                [Finding {
                    violation: Violation::Miscounted { .. },
                    ..
                }]
            ),
            "{found:?}"
        );
    };
    let mut forgotten = repeated(&[104.0, 110.0]);
    forgotten.patches[2].attempts.clear();
    miscounted(&forgotten);
    let mut skipped = repeated(&[104.0]);
    skipped.patches[1].attempts.insert(app(), 3);
    miscounted(&skipped);
    let mut taken_over = fine();
    taken_over.patches[0].attempts.insert(app(), 2);
    miscounted(&taken_over);
}

/// The tag goes on to version 3, which the pod pulls by itself, and back to version 2, which is on record.
#[test]
fn a_push_of_the_recorded_digest_needs_a_further_attempt() {
    let mut history = fine();
    history.moves.extend([moved(110.0, "3"), moved(111.0, "2")]);
    history.answers.push(answered(112.0, "2"));
    history.runs = vec![
        ran("1", 1.0, Some(103.0)),
        ran("2", 102.5, Some(110.4)),
        ran("3", 110.5, Some(113.5)),
        ran("2", 113.2, None),
    ];
    let again = |attempts: &[u32]| Patch {
        attempts: attempts.iter().map(|attempts| (app(), *attempts)).collect(),
        ..patched(113.0, "2")
    };
    history.patches.push(again(&[2]));
    assert_eq!(violations(&history), []);
    history.patches[1] = again(&[]);
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Twice,
            ..
        }]
    ));
}
