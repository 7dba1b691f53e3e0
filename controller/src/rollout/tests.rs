//! Unconfirmed patches and conflicts between two reconciles of a workload.

use std::time::Duration;

use jiff::SignedDuration;
use kube_autorollout_core::{
    Digest, annotations,
    pins::Pins,
    record::{Attempts, Change, Record},
};
use serde_json::json;
use tokio::time::advance;

use super::*;
use crate::{
    rollout::patch::PatchContent,
    workload::{Kind, Object},
};

/// A Deployment of this version, with the content of a patch.
fn workload(version: &str, content: Option<&PatchContent>) -> Workload {
    let annotations = content.map(|content| {
        json!({
            annotations::RESTARTED_AT: content.at.to_string(),
            annotations::DIGESTS: content.rollout.record.to_string(),
        })
    });
    deployment(version, &json!(annotations))
}

/// A Deployment of this version, with these annotations of its template.
pub(super) fn deployment(version: &str, annotations: &serde_json::Value) -> Workload {
    let object = json!({
        "metadata": { "name": "web", "namespace": "shop", "uid": "web", "resourceVersion": version },
        "spec": {
            "selector": {},
            "template": { "metadata": { "annotations": annotations }, "spec": { "containers": [] } },
        },
    });
    let object: Object = serde_json::from_value(object).expect("a Deployment");
    let [deployment, ..] = Kind::ALL;
    Workload::new(deployment, Arc::new(object)).expect("a Deployment")
}

fn rollout(letter: char) -> Rollout {
    let digest = format!("sha256:{}", letter.to_string().repeat(64));
    let to: Digest = digest.parse().expect("a digest");
    let changes = vec![Change {
        container: "app".to_owned(),
        from: None,
        to,
    }];
    Rollout {
        record: Record::default().after(&changes, &["app".to_owned()]),
        changes,
        attempts: Attempts::default(),
        pins: Pins::default(),
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn recognised(
    unconfirmed: &mut UnconfirmedPatches,
    workload: &Workload,
) -> Option<(Rollout, Timestamp)> {
    let content = unconfirmed.recognise(workload, annotations::RESTARTED_AT)?;
    Some((content.rollout, content.at))
}

#[test]
fn a_patch_is_recognised_once_by_its_content() {
    let mut unconfirmed = UnconfirmedPatches::default();
    let [a, b] = ['a', 'b'].map(rollout);
    let first = unconfirmed.begin(&workload("7", None), &a, second(0));
    let again = unconfirmed.begin(&workload("7", None), &a, second(3));
    assert_eq!(first, again, "whichever of them is applied");
    // The tag moves while every response is lost.
    unconfirmed.begin(&workload("7", None), &b, second(5));
    assert_eq!(
        recognised(&mut unconfirmed, &workload("7", None)),
        None,
        "not yet"
    );
    let applied = workload("9", Some(&first));
    assert_eq!(recognised(&mut unconfirmed, &applied), Some((a, second(0))));
    assert_eq!(recognised(&mut unconfirmed, &applied), None);
}

#[test]
fn a_patch_that_was_not_applied_before_the_workload_changed_never_is() {
    let mut unconfirmed = UnconfirmedPatches::default();
    let a = rollout('a');
    let written = unconfirmed.begin(&workload("7", None), &a, second(0));
    let before = workload("6", None); // from a watch that lags behind
    assert_eq!(recognised(&mut unconfirmed, &before), None);
    let elsewhere = PatchContent::new(&a, second(1)); // another replica wrote the same record
    assert_eq!(
        recognised(&mut unconfirmed, &workload("8", Some(&elsewhere))),
        None
    );
    assert_eq!(
        recognised(&mut unconfirmed, &workload("9", Some(&written))),
        None
    );
}

#[test]
fn a_patch_has_a_new_time_after_a_minute_and_the_first_is_kept_longest() {
    let mut unconfirmed = UnconfirmedPatches::default();
    let a = rollout('a');
    let mut begin = |at| unconfirmed.begin(&workload("7", None), &a, second(at));
    let first = begin(0);
    for minute in 1..100 {
        assert_eq!(begin(60 * minute).at, second(60 * minute));
    }
    let applied = workload("8", Some(&first));
    assert_eq!(recognised(&mut unconfirmed, &applied), Some((a, second(0))));
}

#[tokio::test(start_paused = true)]
async fn a_conflict_waits_for_a_later_object_and_consecutive_ones_back_off() {
    let mut conflicts = Conflicts::default();
    let [old, new] = ["7", "8"].map(|version| workload(version, None));
    assert_eq!(conflicts.wait(&old), None);
    conflicts.add(&old);
    assert!(conflicts.is_open());
    assert_eq!(conflicts.wait(&old), Some(Duration::from_secs(1)));
    assert_eq!(conflicts.wait(&new), None, "evaluated again immediately");
    let mut waits = Vec::new();
    for _ in 0..10 {
        conflicts.add(&old);
        waits.push(conflicts.wait(&new).expect("a wait"));
    }
    let longest = Duration::from_secs(30);
    assert!(
        waits.is_sorted() && waits[0] <= Duration::from_secs(1),
        "{waits:?}"
    );
    assert!(waits[9] > longest / 2 && waits[9] <= longest, "{waits:?}");
    advance(longest).await;
    assert_eq!(conflicts.wait(&new), None);
    conflicts.end();
    assert!(!conflicts.is_open());
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_later_object_has_a_timeout() {
    let mut conflicts = Conflicts::default();
    let old = workload("7", None);
    conflicts.add(&old);
    let mut reads = 0;
    let mut waited = Duration::ZERO;
    while let Some(wait) = conflicts.wait(&old) {
        advance(wait).await;
        waited += wait;
        reads += 1;
    }
    assert_eq!(waited, Duration::from_secs(60));
    assert!(reads < 10, "{reads}");
}

#[test]
fn a_rollout_is_later_than_the_last_one_also_after_the_clock_was_set_back() {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let key = kube_autorollout_core::annotations::RESTARTED_AT;
    let annotations = json!({
        kube_autorollout_core::annotations::DIGESTS: "{}",
        key: "2026-01-01T12:30:00Z",
    });
    let workload = deployment("1", &annotations);
    let next = |now| later_than_the_last(&workload, key, at(now));
    assert_eq!(next("2026-01-01T12:40:00Z"), at("2026-01-01T12:40:00Z"));
    assert_eq!(next("2026-01-01T12:10:00Z"), at("2026-01-01T12:30:00.001Z"));
}
