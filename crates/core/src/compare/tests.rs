use std::{cell::RefCell, collections::HashMap};

use proptest::prelude::*;

use super::*;
use crate::{manifest::Image, platform::Platform};

/// The digest that a test calls by this number.
fn digest(number: usize) -> Digest {
    format!("sha256:{number:064x}")
        .parse()
        .expect("a test's own digest")
}

fn image(config: usize) -> Answer {
    Answer::Manifest(Arc::new(Manifest::Image(Image {
        config: digest(config),
        artifact: false,
    })))
}

/// An index of images: number and platform, `any` for none, `index` for a nested one.
fn index(entries: &[(usize, &str)]) -> Answer {
    let entry = |&(number, platform): &(usize, &str)| Entry {
        digest: digest(number),
        nested: platform == "index",
        platform: platform.parse().ok(),
    };
    let entries = entries.iter().map(entry).collect();
    Answer::Manifest(Arc::new(Manifest::Index(Index { entries })))
}

fn repository(number: usize) -> ImageId {
    ImageId::parse(&format!("ghcr.io/other/name@{}", digest(number)))
}

fn bare(number: usize) -> ImageId {
    ImageId::Bare(digest(number))
}

fn amd64() -> Platforms {
    Platforms::Of(vec![Platform::new("linux", "amd64")])
}

/// What a registry has. Anything else is gone.
#[derive(Debug, Clone, Default)]
struct Registry(HashMap<Digest, Answer>);

impl Registry {
    fn new(answers: impl IntoIterator<Item = (usize, Answer)>) -> Self {
        Self(
            answers
                .into_iter()
                .map(|(number, answer)| (digest(number), answer))
                .collect(),
        )
    }

    /// Compares with the tag at digest 1, fetching what is needed; returns the verdict and what was fetched, in order.
    fn compare(&self, running: &ImageId, platforms: &Platforms) -> (Verdict, Vec<Digest>) {
        let fetched = RefCell::new(Vec::new());
        let known = |digest: &Digest| {
            let answer = || self.0.get(digest).cloned().unwrap_or(Answer::Unavailable);
            fetched.borrow().contains(digest).then(answer)
        };
        loop {
            match compare(&digest(1), running, platforms, &known) {
                Step::Done(verdict) => return (verdict, fetched.into_inner()),
                Step::Needs(needs) => {
                    assert!(!needs.is_empty(), "a step that needs nothing never ends");
                    for digest in needs {
                        assert!(
                            !fetched.borrow().contains(&digest),
                            "{digest} is asked for twice"
                        );
                        fetched.borrow_mut().push(digest);
                    }
                }
            }
        }
    }

    #[track_caller]
    fn assert(
        &self,
        running: &ImageId,
        platforms: &Platforms,
        verdict: Verdict,
        fetched: &[usize],
    ) {
        let fetched = fetched.iter().copied().map(digest).collect();
        assert_eq!(self.compare(running, platforms), (verdict, fetched));
    }
}

const CURRENT: Verdict = Verdict::Current(Reason::Current);
const INDEX_CHANGED_ONLY: Verdict = Verdict::Current(Reason::IndexChangedOnly);
const SAME_CONFIG: Verdict = Verdict::Current(Reason::SameConfig);

#[test]
fn what_has_not_started_is_not_stale_and_costs_nothing() {
    let registry = Registry::default();
    registry.assert(&ImageId::NotStarted, &amd64(), Verdict::NotStarted, &[]);
    let opaque = ImageId::parse("docker.io/library/nginx:latest");
    registry.assert(&opaque, &amd64(), Verdict::Unknown(Reason::NotStarted), &[]);
}

#[test]
fn the_digest_of_the_tag_is_current_and_costs_nothing() {
    let registry = Registry::default();
    registry.assert(&repository(1), &amd64(), CURRENT, &[]);
    registry.assert(&bare(1), &amd64(), CURRENT, &[]);
}

#[test]
fn a_platform_manifest_of_the_tag_is_current() {
    let registry = Registry::new([(1, index(&[(10, "linux/amd64"), (11, "linux/arm64")]))]);
    registry.assert(&repository(10), &amd64(), CURRENT, &[1]); // CRI-O
    registry.assert(&bare(10), &amd64(), CURRENT, &[1]); // Docker with containerd's image store
    registry.assert(&repository(11), &Platforms::Every, CURRENT, &[1]);
}

#[test]
fn a_platform_manifest_for_another_platform_is_not_current() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64"), (11, "linux/arm64")])),
        (10, image(20)),
        (11, image(21)),
    ]);
    registry.assert(&repository(11), &amd64(), Verdict::Stale, &[1, 11, 10]);
}

#[test]
fn an_index_of_the_same_images_is_current_in_whichever_order_the_digests_sort() {
    for (number, images) in [(2, [10, 11]), (0, [10, 11]), (2, [11, 10])] {
        let [first, second] = images;
        let registry = Registry::new([
            (1, index(&[(10, "linux/amd64"), (11, "linux/arm64")])),
            (
                number,
                index(&[(first, "linux/amd64"), (second, "linux/arm64")]),
            ),
        ]);
        registry.assert(
            &repository(number),
            &Platforms::Every,
            INDEX_CHANGED_ONLY,
            &[1, number],
        );
    }
}

#[test]
fn another_architecture_rebuilt_is_stale_only_where_the_platform_is_not_known() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64"), (12, "linux/arm64")])),
        (2, index(&[(10, "linux/amd64"), (11, "linux/arm64")])),
        (11, image(21)),
        (12, image(22)),
    ]);
    registry.assert(&repository(2), &amd64(), INDEX_CHANGED_ONLY, &[1, 2]);
    registry.assert(
        &repository(2),
        &Platforms::Every,
        Verdict::Stale,
        &[1, 2, 11, 12],
    );
}

#[test]
fn an_image_with_the_same_configuration_is_current() {
    let registry = Registry::new([
        (1, index(&[(11, "linux/amd64")])),
        (2, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (11, image(20)),
    ]);
    registry.assert(&repository(2), &amd64(), SAME_CONFIG, &[1, 2, 10, 11]);
    registry.assert(&repository(10), &amd64(), SAME_CONFIG, &[1, 10, 11]); // CRI-O
    registry.assert(&bare(20), &amd64(), CURRENT, &[1, 11]);
}

#[test]
fn an_image_with_another_configuration_is_stale() {
    let registry = Registry::new([
        (1, index(&[(11, "linux/amd64")])),
        (2, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (11, image(21)),
    ]);
    registry.assert(&repository(2), &amd64(), Verdict::Stale, &[1, 2, 10, 11]);
    registry.assert(&repository(10), &amd64(), Verdict::Stale, &[1, 10, 11]);
    registry.assert(&bare(20), &amd64(), Verdict::Stale, &[1, 11]);
}

#[test]
fn a_single_image_that_became_an_index_is_compared_and_so_is_the_reverse() {
    let became_index = Registry::new([
        (1, index(&[(2, "linux/amd64"), (11, "linux/arm64")])),
        (2, image(20)),
    ]);
    became_index.assert(&repository(2), &Platforms::Every, CURRENT, &[1]);
    let became_single = Registry::new([
        (1, image(20)),
        (2, index(&[(1, "linux/amd64"), (11, "linux/arm64")])),
    ]);
    became_single.assert(&repository(2), &amd64(), INDEX_CHANGED_ONLY, &[1, 2]);
    let rebuilt = Registry::new([(1, image(20)), (2, image(21)), (3, image(20))]);
    rebuilt.assert(&repository(2), &amd64(), Verdict::Stale, &[1, 2]);
    rebuilt.assert(&repository(3), &amd64(), SAME_CONFIG, &[1, 3]);
    rebuilt.assert(&bare(20), &amd64(), CURRENT, &[1]);
}

#[test]
fn a_twin_in_another_compression_is_the_same_image() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64"), (11, "linux/amd64")])),
        (2, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (11, image(20)),
    ]);
    registry.assert(&repository(2), &amd64(), INDEX_CHANGED_ONLY, &[1, 2]);
    registry.assert(
        &repository(2),
        &Platforms::Every,
        SAME_CONFIG,
        &[1, 2, 11, 10],
    );
    registry.assert(&repository(11), &amd64(), SAME_CONFIG, &[1, 11, 10]); // CRI-O prefers it
}

#[test]
fn a_changed_sibling_does_not_hide_behind_an_unchanged_one() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/arm/v6"), (12, "linux/arm/v7")])),
        (2, index(&[(10, "linux/arm/v6"), (11, "linux/arm/v7")])),
        (10, image(20)),
        (11, image(21)),
        (12, image(22)),
    ]);
    let arm = Platforms::Of(vec![Platform::new("linux", "arm")]);
    registry.assert(&repository(2), &arm, Verdict::Stale, &[1, 2, 11, 12]);
}

#[test]
fn configurations_are_read_only_where_they_can_change_the_outcome() {
    let shared: Vec<(usize, &str)> = vec![
        (30, "linux/arm64"),
        (31, "linux/s390x"),
        (32, "linux/ppc64le"),
    ];
    let tag = [&shared[..], &[(10, "linux/amd64"), (11, "linux/amd64")]].concat();
    let old = [&shared[..], &[(12, "linux/amd64")]].concat();
    let mut registry = Registry::new([
        (1, index(&tag)),
        (2, index(&old)),
        (10, image(20)),
        (11, image(20)),
        (12, image(20)),
    ]);
    // All that differs has one configuration: the three shared ones are never read.
    registry.assert(
        &repository(2),
        &Platforms::Every,
        SAME_CONFIG,
        &[1, 2, 12, 10, 11],
    );
    // It does not, and the shared ones would have to make up for it: now they are read.
    registry.0.insert(digest(12), image(21));
    registry
        .0
        .extend(Registry::new([(30, image(40)), (31, image(41)), (32, image(42))]).0);
    let fetched = [1, 2, 12, 10, 11, 30, 31, 32];
    registry.assert(&repository(2), &Platforms::Every, Verdict::Stale, &fetched);
}

#[test]
fn an_image_that_the_registry_no_longer_has_is_stale() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (3, index(&[(11, "linux/amd64")])),
    ]);
    registry.assert(&repository(2), &amd64(), Verdict::Stale, &[1, 2]); // no configuration is read for it
    registry.assert(&repository(3), &amd64(), Verdict::Stale, &[1, 3, 11]);
}

#[test]
fn an_image_of_no_known_origin_is_stale() {
    let registry = Registry::new([(1, image(20))]);
    let imported = ImageId::parse(&format!(
        "docker.io/library/import-2026-11-22@{}",
        digest(9)
    ));
    registry.assert(&imported, &amd64(), Verdict::Stale, &[1, 9]);
    registry.assert(&bare(9), &amd64(), Verdict::Stale, &[1]);
}

#[test]
fn an_index_without_the_platform_is_not_stale() {
    let without = Verdict::Unknown(Reason::NoMatchingPlatform);
    let registry = Registry::new([
        (1, index(&[(10, "linux/arm64")])),
        (2, index(&[(11, "linux/amd64")])),
    ]);
    registry.assert(&repository(2), &amd64(), without, &[1]);
    Registry::new([(1, index(&[]))]).assert(&repository(2), &Platforms::Every, without, &[1]);
    let artifact = Answer::Manifest(Arc::new(Manifest::Image(Image {
        config: digest(20),
        artifact: true,
    })));
    Registry::new([(1, artifact)]).assert(&repository(2), &amd64(), without, &[1]);
}

#[test]
fn an_old_index_without_the_platform_is_stale() {
    let registry = Registry::new([
        (1, index(&[(10, "linux/amd64")])),
        (2, index(&[(11, "linux/arm64")])),
    ]);
    registry.assert(&repository(2), &amd64(), Verdict::Stale, &[1, 2]);
}

#[test]
fn nested_indexes_are_read_where_they_are() {
    let registry = Registry::new([
        (1, index(&[(5, "index"), (11, "linux/amd64")])),
        (5, index(&[(6, "index")])),
        (6, index(&[(10, "linux/amd64")])),
        (2, index(&[(10, "linux/amd64")])),
    ]);
    registry.assert(&repository(2), &amd64(), INDEX_CHANGED_ONLY, &[1, 5, 6, 2]);
}

#[test]
fn indexes_that_nest_too_deep_or_too_wide_cannot_be_told() {
    let too_large = Verdict::Unknown(Reason::ManifestTooLarge);
    let itself = Registry::new([(1, index(&[(1, "index")]))]);
    itself.assert(&repository(2), &amd64(), too_large, &[1]);
    let deep = |deepest: usize| (1..=deepest).map(|level| (level, index(&[(level + 1, "index")])));
    let four = Registry::new(deep(4).chain([(5, index(&[(50, "linux/amd64")]))]));
    four.assert(&repository(50), &amd64(), CURRENT, &[1, 2, 3, 4, 5]);
    let five = Registry::new(deep(5).chain([(6, index(&[(50, "linux/amd64")]))]));
    five.assert(&repository(50), &amd64(), too_large, &[1, 2, 3, 4, 5]);
    let wide: Vec<(usize, &str)> = (100..=100 + MAX_MANIFESTS)
        .map(|number| (number, "index"))
        .collect();
    Registry::new([(1, index(&wide))]).assert(&repository(2), &amd64(), too_large, &[1]);
}

#[test]
fn more_images_than_are_sensible_cannot_be_told() {
    let too_large = Verdict::Unknown(Reason::ManifestTooLarge);
    let many: Vec<(usize, &str)> = (100..=100 + MAX_MANIFESTS)
        .map(|number| (number, "any"))
        .collect();
    let registry = Registry::new([(1, index(&many)), (2, index(&[(10, "any")]))]);
    registry.assert(&repository(2), &Platforms::Every, too_large, &[1, 2]);
    registry.assert(&bare(2), &Platforms::Every, too_large, &[1]);
    registry.assert(&bare(100), &Platforms::Every, CURRENT, &[1]); // no configuration is needed for that
}

#[test]
fn a_failure_anywhere_cannot_be_told_and_is_never_stale() {
    let full = [
        (1, index(&[(5, "index"), (11, "linux/amd64")])),
        (5, index(&[])),
        (2, index(&[(10, "linux/amd64")])),
        (10, image(20)),
        (11, image(21)),
    ];
    Registry::new(full.clone()).assert(
        &repository(2),
        &amd64(),
        Verdict::Stale,
        &[1, 5, 2, 10, 11],
    );
    for (number, _) in &full {
        let mut registry = Registry::new(full.clone());
        registry
            .0
            .insert(digest(*number), Answer::Failed(Reason::Timeout));
        let (verdict, _) = registry.compare(&repository(2), &amd64());
        assert_eq!(
            verdict,
            Verdict::Unknown(Reason::Timeout),
            "{number} failed"
        );
    }
}

#[test]
fn a_tag_whose_content_is_missing_cannot_be_told() {
    let missing = Verdict::Unknown(Reason::TagNotFound);
    Registry::default().assert(&repository(2), &amd64(), missing, &[1]);
    let half_pushed = Registry::new([(1, index(&[(11, "linux/amd64")])), (2, image(20))]);
    half_pushed.assert(&repository(2), &amd64(), missing, &[1, 2, 11]);
    half_pushed.assert(&bare(20), &amd64(), missing, &[1, 11]);
    Registry::new([(1, index(&[(5, "index")]))]).assert(&repository(2), &amd64(), missing, &[1, 5]);
}

#[test]
fn a_registry_that_lies_about_types_cannot_be_told() {
    let lie = Verdict::Unknown(Reason::UnsupportedMediaType);
    let nested = Registry::new([(1, index(&[(5, "index")])), (5, image(20))]);
    nested.assert(&repository(2), &amd64(), lie, &[1, 5]);
    let image_is_index = Registry::new([
        (1, index(&[(5, "linux/amd64")])),
        (5, index(&[])),
        (2, image(20)),
    ]);
    image_is_index.assert(&repository(2), &amd64(), lie, &[1, 2, 5]);
}

/// Registries of a few digests, with whatever behind each of them.
fn registries() -> impl Strategy<Value = Registry> {
    let platforms = [
        "linux/amd64",
        "linux/arm64",
        "linux/arm/v6",
        "linux/arm/v7",
        "any",
        "index",
    ];
    let entry = (0..8_usize, prop::sample::select(platforms.to_vec()));
    let answer = prop_oneof![
        3 => prop::collection::vec(entry, 0..5).prop_map(|entries| index(&entries)),
        3 => (20..23_usize).prop_map(image),
        1 => Just(Answer::Unavailable),
    ];
    prop::collection::vec(answer, 8)
        .prop_map(|answers| Registry::new(answers.into_iter().enumerate()))
}

fn running() -> impl Strategy<Value = ImageId> {
    prop_oneof![
        (0..10_usize).prop_map(repository),
        (0..10_usize).prop_map(bare),
        (20..23_usize).prop_map(bare)
    ]
}

fn platforms() -> impl Strategy<Value = Platforms> {
    let arm = Platforms::Of(vec![Platform::new("linux", "arm")]);
    prop::sample::select(vec![Platforms::Every, amd64(), arm])
}

proptest! {
    #[test]
    fn an_answer_that_becomes_an_error_never_makes_stale(
        registry in registries(), running in running(), platforms in platforms(), failing in 0..8_usize,
    ) {
        let (before, _) = registry.compare(&running, &platforms);
        let mut failed = registry;
        failed.0.insert(digest(failing), Answer::Failed(Reason::Timeout));
        let (after, fetched) = failed.compare(&running, &platforms);
        prop_assert!(after != Verdict::Stale || before == Verdict::Stale, "{before:?} became {after:?}");
        let asked = fetched.contains(&digest(failing));
        prop_assert!(asked || after == before, "what is not asked for changes nothing");
    }

    #[test]
    fn knowing_more_does_not_change_the_verdict(
        registry in registries(), running in running(), platforms in platforms(),
    ) {
        let (verdict, _) = registry.compare(&running, &platforms);
        let everything = |digest: &Digest| Some(registry.0.get(digest).cloned().unwrap_or(Answer::Unavailable));
        let at_once = compare(&digest(1), &running, &platforms, &everything);
        prop_assert_eq!(at_once, Step::Done(verdict));
    }

    #[test]
    fn what_the_tag_brings_is_current(registry in registries(), platforms in platforms()) {
        // After a restart the node has the digest of the tag, and may name it by the index or by what it chose of it.
        prop_assert_eq!(registry.compare(&repository(1), &platforms).0, CURRENT);
        if let Some(Answer::Manifest(manifest)) = registry.0.get(&digest(1))
            && let Manifest::Index(index) = &**manifest
            && index.entries.iter().all(|entry| !entry.nested)
        {
            for chosen in index.select(&platforms) {
                let running = ImageId::Bare(chosen.clone());
                prop_assert_eq!(registry.compare(&running, &platforms).0, CURRENT);
            }
        }
    }
}
