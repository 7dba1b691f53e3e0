use std::sync::Arc;

use super::*;
use crate::observe::pods::ContainerSpec;

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
