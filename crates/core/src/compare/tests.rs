use std::{cell::RefCell, collections::HashMap};

use super::*;
use crate::{
    manifest::{Entry, Image, Index},
    platform::Platform,
    reference,
};

mod artifacts;
mod doubt;
mod platforms;
mod properties;
mod pulled;

/// The digest that a test calls by this number.
fn digest(number: usize) -> Digest {
    format!("sha256:{number:064x}")
        .parse()
        .expect("a test's own digest")
}

fn image(config: usize) -> ManifestLookup {
    ManifestLookup::Manifest(Arc::new(Manifest::Image(Image {
        config: digest(config),
        artifact: None,
    })))
}

/// An index of images: number and platform, `any` for none, `index` for a nested one.
fn index(entries: &[(usize, &str)]) -> ManifestLookup {
    let entry = |&(number, platform): &(usize, &str)| Entry {
        digest: digest(number),
        nested: platform == "index",
        platform: platform.parse().ok(),
    };
    let entries = entries.iter().map(entry).collect();
    ManifestLookup::Manifest(Arc::new(Manifest::Index(Index { entries })))
}

/// The image of every container.
const IMAGE: &str = "ghcr.io/team/app:main";

fn repository(number: usize) -> ImageId {
    ImageId::parse(&format!("ghcr.io/team/app@{}", digest(number)))
}

/// A digest of a repository that is not the image's.
fn alias(number: usize) -> ImageId {
    ImageId::parse(&format!("docker.io/library/app@{}", digest(number)))
}

fn bare(number: usize) -> ImageId {
    ImageId::Bare(digest(number))
}

fn amd64() -> Platforms {
    Platforms::Of(vec![Platform::new("linux", "amd64")])
}

/// What a registry has. Anything else is gone.
#[derive(Debug, Clone, Default)]
struct Registry(HashMap<Digest, ManifestLookup>);

impl Registry {
    fn new(answers: impl IntoIterator<Item = (usize, ManifestLookup)>) -> Self {
        Self(
            answers
                .into_iter()
                .map(|(number, answer)| (digest(number), answer))
                .collect(),
        )
    }

    /// Compares with the tag at digest 1, fetching what is needed; returns the verdict and what was fetched, in order.
    fn compare(&self, running: &ImageId, platforms: &Platforms) -> (Verdict, Vec<Digest>) {
        self.compare_pulled(running, None, platforms)
    }

    /// The same, where what runs is known to have been pulled when the tag named that digest, or later.
    fn compare_pulled(
        &self,
        running: &ImageId,
        pulled: Option<&Digest>,
        platforms: &Platforms,
    ) -> (Verdict, Vec<Digest>) {
        let question = Comparison {
            reference: &reference::parse(IMAGE).expect("a test's own image"),
            tag: &digest(1),
            running,
            pulled,
            platforms,
        };
        let fetched = RefCell::new(Vec::new());
        let known = |digest: &Digest| {
            let answer = || {
                self.0
                    .get(digest)
                    .cloned()
                    .unwrap_or(ManifestLookup::Unavailable)
            };
            fetched.borrow().contains(digest).then(answer)
        };
        loop {
            match compare(question, &known) {
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
fn containers_that_have_not_started_need_no_manifests() {
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
    for platforms in [amd64(), Platforms::Every] {
        registry.assert(&repository(2), &platforms, INDEX_CHANGED_ONLY, &[1, 2]);
    }
    registry.assert(&repository(11), &amd64(), SAME_CONFIG, &[1, 11, 10]); // CRI-O prefers it
}

#[test]
fn an_unchanged_image_does_not_hide_a_changed_one() {
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
    let tag = [&shared[..], &[(10, "linux/arm/v6"), (11, "linux/arm/v7")]].concat();
    let old = [&shared[..], &[(12, "linux/arm")]].concat();
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
    let without = Verdict::CannotStart(Reason::NoMatchingPlatform);
    let registry = Registry::new([
        (1, index(&[(10, "linux/arm64")])),
        (2, index(&[(11, "linux/amd64")])),
    ]);
    registry.assert(&repository(2), &amd64(), without, &[1]);
    Registry::new([(1, index(&[]))]).assert(&repository(2), &Platforms::Every, without, &[1]);
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
