use kube_autorollout_core::{
    decide::Observed,
    pins::Pins,
    record::{Attempts, Change, Record},
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
        paused: false,
        generation_observed: true,
        wants_pods: true,
        replacing: false,
        complete: true,
        unfinished: true,
        deadline_exceeded: false,
        on_delete: false,
        record: Record::default().after(std::slice::from_ref(&change), &names),
        attempts: Attempts::default(),
        last_rollout: None,
        pins: Pins::default(),
        containers: vec![Container {
            name: "app".to_owned(),
            image: "app:main".to_owned(),
            exempt: None,
            tag: Ok(tag),
            rolled_back: false,
            image_replaced: false,
            pinned: None,
            since: None,
            remembered: None,
            pods: Vec::new(),
        }],
        template_containers: names.to_vec(),
    };
    let note = |tag| completed(&Observation::without_pods(observed(tag)), &[]);
    assert_eq!(note(digest('b')), "container app runs sha256:bbbbbbbbbbbb");
    assert_eq!(
        note(digest('c')),
        "container app runs sha256:cccccccccccc, pushed after sha256:bbbbbbbbbbbb"
    );
}
