//! Image IDs that name another repository, with a digest that the image's own one does not have.

use super::*;

/// Digest 2 is known to the node by another repository only.
fn registry() -> Registry {
    Registry::new([
        (1, index(&[(10, "linux/amd64")])),
        (3, index(&[(10, "linux/amd64")])),
        (4, index(&[(11, "linux/amd64")])),
        (10, image(20)),
        (11, image(21)),
    ])
}

#[track_caller]
fn assert(running: &ImageId, pulled: usize, verdict: Verdict, fetched: &[usize]) {
    let fetched = fetched.iter().copied().map(digest).collect();
    let found = registry().compare_pulled(running, Some(&digest(pulled)), &amd64());
    assert_eq!(found, (verdict, fetched));
}

#[test]
fn an_alias_that_was_pulled_after_the_tag_was_seen_at_its_digest_is_current() {
    assert(&alias(2), 1, SAME_CONFIG, &[1, 2]);
}

#[test]
fn an_alias_is_what_the_tag_named_when_it_was_pulled() {
    assert(&alias(2), 3, INDEX_CHANGED_ONLY, &[1, 2, 3]);
    assert(&alias(2), 4, Verdict::Stale, &[1, 2, 4, 11, 10]);
    assert(&alias(2), 5, Verdict::Stale, &[1, 2, 5]); // that is gone, too
}

#[test]
fn an_unknown_alias_is_stale() {
    registry().assert(&alias(2), &amd64(), Verdict::Stale, &[1, 2]);
}

#[test]
fn a_manifest_is_better_evidence_than_the_time_of_the_pull() {
    assert(&alias(4), 1, Verdict::Stale, &[1, 4, 11, 10]);
    assert(&alias(10), 4, CURRENT, &[1]);
}

#[test]
fn a_deleted_digest_of_the_same_repository_is_stale_whenever_it_was_pulled() {
    assert(&repository(2), 1, Verdict::Stale, &[1, 2]);
    assert(&bare(21), 1, Verdict::Stale, &[1, 10]);
}
