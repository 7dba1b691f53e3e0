//! A node whose platform could not be read: what depends on it is a doubt, and nothing else.

use super::*;

const DOUBT: Verdict = Verdict::Unknown(Reason::ApiServer);

#[test]
fn a_change_that_may_concern_another_platform_is_a_doubt() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64"), (12, "linux/arm64")])),
        (2, index(&[(10, "linux/amd64"), (11, "linux/arm64")])),
        (3, index(&[(10, "linux/amd64")])),
        (11, image(21)),
        (12, image(22)),
    ]);
    registry.assert(&repository(2), &Platforms::Unread, DOUBT, &[1, 2, 11, 12]);
    for running in [repository(3), repository(4), bare(20)] {
        let (verdict, _) = registry.compare(&running, &Platforms::Unread);
        assert!(verdict != Verdict::Stale, "{running:?}: {verdict:?}");
    }
}

#[test]
fn an_index_for_one_platform_that_is_new_or_another_one_is_a_doubt() {
    let registry = Registry::new([
        (1, index(&[(12, "linux/arm64")])),
        (2, index(&[(11, "linux/amd64")])),
        (11, image(21)),
        (12, image(22)),
    ]);
    registry.assert(&repository(2), &Platforms::Unread, DOUBT, &[1, 2, 11, 12]);
    registry.assert(&repository(4), &Platforms::Unread, DOUBT, &[1, 4]);
}

#[test]
fn verdicts_that_do_not_depend_on_the_platform_are_reported() {
    let single = Registry::new([(1, image(20)), (2, image(21))]);
    single.assert(&repository(2), &Platforms::Unread, Verdict::Stale, &[1, 2]);
    single.assert(&repository(4), &Platforms::Unread, Verdict::Stale, &[1, 4]);
    let one = Registry::new([
        (1, index(&[(12, "linux/amd64")])),
        (2, index(&[(11, "linux/amd64")])),
        (3, index(&[(12, "linux/amd64"), (13, "linux/arm64")])),
        (11, image(21)),
        (12, image(22)),
        (13, image(22)),
    ]);
    one.assert(
        &repository(2),
        &Platforms::Unread,
        Verdict::Stale,
        &[1, 2, 11, 12],
    );
    one.assert(&repository(12), &Platforms::Unread, CURRENT, &[1]);
    let (same, _) = one.compare(&repository(3), &Platforms::Unread);
    assert_eq!(same, SAME_CONFIG);
}

#[test]
fn of_two_images_for_one_platform_the_first_counts_on_every_node() {
    let registry = Registry::new([
        (1, image(21)),
        (2, index(&[(1, "linux/amd64"), (11, "linux/amd64")])),
        (11, image(22)),
    ]);
    for platforms in [amd64(), Platforms::Unread, Platforms::Every] {
        registry.assert(&repository(2), &platforms, INDEX_CHANGED_ONLY, &[1, 2]);
    }
}

#[test]
fn what_the_tag_named_at_the_pull_may_differ_on_another_platform() {
    let registry = Registry::new([
        (1, image(21)),
        (3, index(&[(1, "linux/amd64"), (11, "linux/arm64")])),
        (5, index(&[(4, "index")])), // of which a part is gone
        (11, image(22)),
    ]);
    let compare = |running: ImageId, platforms: &Platforms| {
        let (verdict, _) = registry.compare_pulled(&running, Some(&digest(3)), platforms);
        verdict
    };
    for running in [alias(2), alias(5)] {
        assert_eq!(compare(running.clone(), &amd64()), INDEX_CHANGED_ONLY);
        assert_eq!(compare(running, &Platforms::Unread), DOUBT);
    }
    assert_eq!(
        compare(repository(2), &Platforms::Unread),
        Verdict::Stale,
        "a digest of its own repository is gone on every platform"
    );
}
