use super::*;
use crate::image::digest_of;

fn facts(marker: &str) -> ImageFacts {
    ImageFacts {
        config: digest_of(marker.as_bytes()),
        marker: marker.to_owned(),
        behaviour: Behaviour::Runs,
        download: Duration::ZERO,
    }
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a test's own reference")
}

/// A digest whose hexadecimal digits all are `digit`.
fn digest(digit: char) -> Digest {
    let digits: String = std::iter::repeat_n(digit, 64).collect();
    format!("sha256:{digits}").parse().expect("a digest")
}

/// Pulls an image of one manifest, or of an index whose digest is `target`.
fn pull(
    store: &mut ImageStore,
    name: &str,
    target: char,
    manifest: char,
    facts: &ImageFacts,
) -> bool {
    let (target, manifest) = (digest(target), digest(manifest));
    let digests = Digests {
        target: &target,
        manifest: &manifest,
    };
    store.add(&reference(name), Some(digests), facts.clone())
}

#[test]
fn the_image_id_is_the_first_digest_pulled_for_the_config_in_either_order() {
    let image = facts("v1");
    for (first, second) in [('a', 'b'), ('b', 'a')] {
        let mut store = ImageStore::default();
        pull(&mut store, "web:1", first, 'f', &image);
        let renamed = pull(&mut store, "web:1", second, 'f', &image);
        assert!(renamed, "{first} then {second}");
        assert_eq!(
            store.image_id(&image.config),
            format!("docker.io/library/web@{}", digest('a')),
            "{first} then {second}"
        );
    }
}

#[test]
fn the_image_id_may_name_another_repository() {
    let image = facts("v1");
    let mut store = ImageStore::default();
    pull(&mut store, "host:5000/web:1", 'a', 'a', &image);
    pull(&mut store, "host:5000/api:1", 'b', 'b', &image);
    let expected = format!("host:5000/api@{}", digest('b'));
    assert_eq!(store.image_id(&image.config), expected);
    assert_eq!(store.image_name(&image.config), "host:5000/api:1");
}

#[test]
fn a_moved_tag_leaves_the_old_image_its_digest() {
    let (old, new) = (facts("v1"), facts("v2"));
    let mut store = ImageStore::default();
    pull(&mut store, "web:1", 'a', 'a', &old);
    assert!(pull(&mut store, "web:1", 'b', 'b', &new));
    assert_eq!(store.find(&reference("web:1")), Some(&new));
    let by_digest = format!("web@{}", digest('a'));
    assert_eq!(store.find(&reference(&by_digest)), Some(&old));
    assert_eq!(store.image_name(&old.config), old.config.to_string());
}

#[test]
fn the_same_pull_again_renames_nothing() {
    let image = facts("v1");
    let mut store = ImageStore::default();
    for attempt in 1..=2 {
        let renamed = pull(&mut store, "web:1", 'a', 'a', &image);
        assert!(!renamed, "pull {attempt}");
    }
}

#[test]
fn an_image_pulled_by_digest_has_no_tag() {
    let image = facts("v1");
    let pinned = format!("web:1@{}", digest('a'));
    let mut store = ImageStore::default();
    pull(&mut store, &pinned, 'a', 'a', &image);
    assert_eq!(store.find(&reference("web:1")), None);
    assert_eq!(store.find(&reference(&pinned)), Some(&image));
    assert_eq!(store.image_name(&image.config), image.config.to_string());
    let expected = format!("docker.io/library/web@{}", digest('a'));
    assert_eq!(store.image_id(&image.config), expected);
}

#[test]
fn each_runtime_reports_an_image_in_its_own_way() {
    let image = facts("v1");
    let bare = image.config.digest();
    let rows = [
        (
            Runtime::Containerd,
            format!("docker.io/library/web@{}", digest('b')),
            format!("sha256:{bare}"),
        ),
        (
            Runtime::CriO,
            format!("docker.io/library/web@{}", digest('a')), // of the manifest, which comes first
            bare.to_owned(),
        ),
        (
            Runtime::Docker,
            format!("docker-pullable://web@{}", digest('b')),
            format!("docker://sha256:{bare}"),
        ),
    ];
    for (runtime, pulled, loaded) in rows {
        let mut store = ImageStore::new(runtime);
        store.add(&reference("web:1"), None, image.clone());
        assert_eq!(store.image_id(&image.config), loaded, "{runtime:?}");
        pull(&mut store, "web:1", 'b', 'a', &image);
        assert_eq!(store.image_id(&image.config), pulled, "{runtime:?}");
        assert!(store.remove(&image.config));
        assert_eq!(store.image_id(&image.config), loaded, "{runtime:?}");
    }
}

#[test]
fn cri_o_joins_every_repository_with_every_digest() {
    let image = facts("v1");
    let mut store = ImageStore::new(Runtime::CriO);
    pull(&mut store, "host:5000/web:1", 'a', 'a', &image);
    pull(&mut store, "host:5000/api:1", 'b', 'b', &image);
    let expected = format!("host:5000/api@{}", digest('a')); // which was never pulled
    assert_eq!(store.image_id(&image.config), expected);
}
