//! How workloads are in the end.

use super::*;

#[test]
fn what_does_not_run_the_tags_image_in_the_end_is_found_unless_its_owner_wants_that() {
    let ends = [
        vec![ran("1", 1.0, None)],                        // it was forgotten
        vec![ran("1", 1.0, None), ran("2", 102.5, None)], // an old pod is left
        vec![ran("1", 1.0, Some(102.1))],                 // nothing runs
        vec![
            ran("2", 102.5, None),
            ran("2", 102.5, None),
            ran("1", 1.0, Some(102.1)),
        ], // one too many
    ];
    for runs in ends {
        let mut history = fine();
        history.runs = runs;
        let found = violations(&history);
        assert!(
            matches!(
                found[..],
                [Finding {
                    violation: Violation::Stale { .. },
                    ..
                }]
            ),
            "{found:?}"
        );
        let held = Wish {
            held: true,
            ..Wish::ROLL_OUT
        };
        history.subjects[0].changes = vec![(span(110.0, 110.1), held)];
        assert_eq!(violations(&history), []);
    }
}

#[test]
fn a_pod_that_is_not_ready_has_to_run_the_tags_image_too() {
    let mut history = fine();
    history.runs[1].ready = false;
    assert_eq!(violations(&history), []);
    history.runs[1].config = "config 1".to_owned();
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Stale { .. },
            ..
        }]
    ));
}

#[test]
fn pods_without_a_node_count_where_there_are_not_enough_nodes_and_have_to_be_of_the_newest_template()
 {
    let mut history = fine();
    history.subjects[0].pods = 2;
    history.pods = vec![pod(true), pod(true)];
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Stale { .. },
            ..
        }]
    ));
    history.subjects[0].crowded = true;
    assert_eq!(violations(&history), []);
    let outdated = |found, newest| Finding {
        name: name(),
        at: None,
        violation: Violation::Outdated {
            pods: 2,
            found,
            newest,
        },
    };
    history.pods[1] = pod(false);
    assert_eq!(violations(&history), [outdated(2, 1)]);
    history.pods.remove(1);
    assert_eq!(violations(&history), [outdated(1, 1)]);
    history.runs.push(ran("1", 1.0, None));
    history.pods.push(pod(true));
    assert!(matches!(
        violations(&history)[..],
        [Finding {
            violation: Violation::Stale { .. },
            ..
        }]
    ));
}
