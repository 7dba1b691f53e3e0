use kube_autorollout_core::{
    decide::Observed,
    record::{Change, Record},
};

use super::*;

fn digest(letter: char) -> Digest {
    let hex = letter.to_string().repeat(64);
    format!("sha256:{hex}").parse().expect("a digest")
}

#[test]
fn a_rollout_that_another_push_overtook_reports_what_runs_in_the_end() {
    let change = Change {
        container: "app".to_owned(),
        from: None,
        to: digest('b'),
    };
    let names = ["app".to_owned()];
    let observed = |tag| Observed {
        unfinished: true,
        record: Record::default().after(std::slice::from_ref(&change), &names),
        ..Observed::complete(vec![Container::new("app", "app:main", Ok(tag))])
    };
    let note = |tag| completed(&Observation::without_pods(observed(tag)), &[]);
    assert_eq!(note(digest('b')), "container app runs sha256:bbbbbbbbbbbb");
    assert_eq!(
        note(digest('c')),
        "container app runs sha256:cccccccccccc, pushed after sha256:bbbbbbbbbbbb"
    );
}
