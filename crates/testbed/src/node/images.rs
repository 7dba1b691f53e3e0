//! What a node has pulled, kept as containerd keeps it
//! (<https://github.com/containerd/containerd/blob/main/internal/cri/store/image/image.go>).
//!
//! An image is its config digest. All names under which it was pulled belong to that one image, sorted, and a
//! container's status shows the first of them, so that a pull by one pod can change what another pod reports.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;
use oci_spec::{distribution::Reference, image::Digest};

use crate::image::Behaviour;

/// What a container needs to know of the image it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageFacts {
    /// The identity of the image on the node.
    pub(super) config: Digest,
    /// What the image was built from; empty for an image of somebody else.
    pub(super) marker: String,
    pub(super) behaviour: Behaviour,
    /// How long it takes to download.
    pub(super) download: Duration,
}

/// The images of one node.
#[derive(Debug, Default)]
pub(super) struct ImageStore {
    images: HashMap<Digest, Image>,
    /// Manifests, indexes and configs, each by its own digest.
    content: HashMap<Digest, Bytes>,
}

#[derive(Debug)]
struct Image {
    facts: ImageFacts,
    /// `name:tag` and `name@digest`.
    names: BTreeSet<String>,
}

/// The part of a reference that names the repository, registry included.
fn repository(reference: &Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

/// The name under which an image is found again: a digest takes precedence, as containerd drops the tag beside it.
fn name(reference: &Reference) -> String {
    let repository = repository(reference);
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, tag) => format!("{repository}:{}", tag.unwrap_or("latest")),
    }
}

impl ImageStore {
    /// Keeps an image that `reference` named and that was pulled as `target`: the digest that the tag resolved to, of
    /// an index or of a manifest. Without one the image was loaded from a file.
    ///
    /// Says whether another image, or this one if it was there before, now reports other names.
    pub(super) fn add(
        &mut self,
        reference: &Reference,
        target: Option<&Digest>,
        facts: ImageFacts,
    ) -> bool {
        let config = facts.config.clone();
        let tag = name(reference);
        let mut renamed = false;
        for (_, other) in self.images.iter_mut().filter(|(key, _)| **key != config) {
            renamed |= other.names.remove(&tag);
        }
        let known = self.images.contains_key(&config);
        let image = self.images.entry(config).or_insert_with(|| Image {
            facts,
            names: BTreeSet::new(),
        });
        let mut added = image.names.insert(tag);
        if let Some(target) = target {
            let digested = format!("{}@{target}", repository(reference));
            added |= image.names.insert(digested);
        }
        renamed || (known && added)
    }

    /// The image that is here under this reference.
    pub(super) fn find(&self, reference: &Reference) -> Option<&ImageFacts> {
        let name = name(reference);
        self.images
            .values()
            .find(|image| image.names.contains(&name))
            .map(|image| &image.facts)
    }

    /// Whether this image is here under any name.
    pub(super) fn has(&self, config: &Digest) -> bool {
        self.images.contains_key(config)
    }

    /// The `imageID` of a container: the first `repository@digest`, or the bare digest of the config.
    pub(super) fn image_id(&self, config: &Digest) -> String {
        self.first_name(config, |name| name.contains('@'))
    }

    /// The `image` of a container's status: the first `repository:tag`, or the bare digest of the config.
    pub(super) fn image_name(&self, config: &Digest) -> String {
        self.first_name(config, |name| !name.contains('@'))
    }

    fn first_name(&self, config: &Digest, kind: impl Fn(&str) -> bool) -> String {
        self.images
            .get(config)
            .and_then(|image| image.names.iter().find(|name| kind(name)))
            .map_or_else(|| config.to_string(), Clone::clone)
    }

    /// Content that was fetched before.
    pub(super) fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.content.get(digest).cloned()
    }

    /// Keeps content that was fetched, so that it is not fetched again.
    pub(super) fn keep_content(&mut self, digest: Digest, content: Bytes) {
        self.content.insert(digest, content);
    }
}

#[cfg(test)]
mod tests {
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
    fn target(digit: char) -> Digest {
        let digits: String = std::iter::repeat_n(digit, 64).collect();
        format!("sha256:{digits}").parse().expect("a digest")
    }

    #[test]
    fn the_image_id_is_the_first_digest_pulled_for_the_config_in_either_order() {
        let image = facts("v1");
        for (first, second) in [('a', 'b'), ('b', 'a')] {
            let mut store = ImageStore::default();
            store.add(&reference("web:1"), Some(&target(first)), image.clone());
            let renamed = store.add(&reference("web:1"), Some(&target(second)), image.clone());
            assert!(renamed, "{first} then {second}");
            assert_eq!(
                store.image_id(&image.config),
                format!("docker.io/library/web@{}", target('a')),
                "{first} then {second}"
            );
        }
    }

    #[test]
    fn the_image_id_may_name_another_repository() {
        let image = facts("v1");
        let mut store = ImageStore::default();
        store.add(
            &reference("host:5000/web:1"),
            Some(&target('a')),
            image.clone(),
        );
        store.add(
            &reference("host:5000/api:1"),
            Some(&target('b')),
            image.clone(),
        );
        let expected = format!("host:5000/api@{}", target('b'));
        assert_eq!(store.image_id(&image.config), expected);
        assert_eq!(store.image_name(&image.config), "host:5000/api:1");
    }

    #[test]
    fn a_moved_tag_leaves_the_old_image_its_digest() {
        let (old, new) = (facts("v1"), facts("v2"));
        let mut store = ImageStore::default();
        store.add(&reference("web:1"), Some(&target('a')), old.clone());
        assert!(store.add(&reference("web:1"), Some(&target('b')), new.clone()));
        assert_eq!(store.find(&reference("web:1")), Some(&new));
        let by_digest = format!("web@{}", target('a'));
        assert_eq!(store.find(&reference(&by_digest)), Some(&old));
        assert_eq!(store.image_name(&old.config), old.config.to_string());
    }

    #[test]
    fn the_same_pull_again_renames_nothing() {
        let image = facts("v1");
        let mut store = ImageStore::default();
        for expected in [false, false] {
            let renamed = store.add(&reference("web:1"), Some(&target('a')), image.clone());
            assert_eq!(renamed, expected);
        }
    }

    #[test]
    fn an_image_pulled_by_digest_has_no_tag() {
        let image = facts("v1");
        let pinned = format!("web:1@{}", target('a'));
        let mut store = ImageStore::default();
        store.add(&reference(&pinned), Some(&target('a')), image.clone());
        assert_eq!(store.find(&reference("web:1")), None);
        assert_eq!(store.image_name(&image.config), image.config.to_string());
        let expected = format!("docker.io/library/web@{}", target('a'));
        assert_eq!(store.image_id(&image.config), expected);
    }

    #[test]
    fn an_image_without_a_name_reports_its_config() {
        let image = facts("v1");
        let mut store = ImageStore::default();
        assert_eq!(store.image_id(&image.config), image.config.to_string());
        store.add(&reference("web:1"), None, image.clone());
        assert_eq!(store.image_id(&image.config), image.config.to_string());
    }
}
