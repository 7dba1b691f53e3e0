use std::sync::Arc;

use super::*;
use crate::observe::pods::ContainerSpec;

/// Or the reconcile that waited for it would fetch it again, and never end.
#[tokio::test(start_paused = true)]
async fn a_failure_is_fresh_when_its_request_ends_and_for_a_while_after() {
    let now = clock::now();
    let cached = CachedVerdict {
        started_at: now,
        ended: Instant::now(),
        verdict: Verdict::Unknown(Reason::Server),
        failure: Some(Failure {
            transient: true,
            ..Failure::too_large(&"a.io/app:1".parse().expect("a reference"))
        }),
        is_final: false,
    };
    assert!(cached.is_fresh(now));
    tokio::time::advance(RETRY).await;
    assert!(!cached.is_fresh(now));
}

#[test]
fn the_pulled_digest_is_known_from_the_record_or_from_a_start_after_the_tag_was_seen() {
    let digest = |letter: char| -> Digest {
        let hex = letter.to_string().repeat(64);
        format!("sha256:{hex}").parse().expect("a digest")
    };
    let (tag, record) = (digest('a'), digest('b'));
    let since = Timestamp::UNIX_EPOCH;
    let container = |seconds: i64, pulls_always: bool| {
        let spec = ContainerSpec::new("app".into(), "a.io/app".into(), pulls_always, false);
        Container {
            spec: Arc::new(spec),
            image_id: "".into(),
            waiting: None,
            started: Some(since + SignedDuration::from_secs(seconds)),
        }
    };
    let cases = [
        (container(61, true), Some(&tag)),
        (container(60, true), Some(&record)),
        (container(-5, true), Some(&record)),
        (container(61, false), None),
    ];
    for (container, expected) in &cases {
        assert_eq!(
            pulled(container, Some(&record), &tag, Some(since)),
            *expected
        );
    }
    assert_eq!(pulled(&cases[0].0, None, &tag, None), None);
    let mut pinned = container(61, true);
    Arc::make_mut(&mut pinned.spec).pinned = true;
    let pulled = pulled(&pinned, Some(&record), &tag, Some(since));
    assert_eq!(pulled, None, "its pin is the digest");
}
