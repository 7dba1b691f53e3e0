//! The images that a node has pulled, stored as containerd does
//! (<https://github.com/containerd/containerd/blob/main/internal/cri/store/image/image.go>).
//!
//! An image is its config digest. All names under which it was pulled belong to that one image, sorted, and a
//! container's status shows the first of them, so that a pull by one pod can change what another pod reports.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use oci_spec::{distribution::Reference, image::Digest};

use super::{
    names::{Digests, Names},
    runtime::Runtime,
};
use crate::image::Behaviour;

/// The facts about an image on which its containers depend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageFacts {
    /// The identity of the image on the node.
    pub(crate) config: Digest,
    /// The marker that the image was built from; empty for other images.
    pub(crate) marker: String,
    pub(crate) behaviour: Behaviour,
    /// How long it takes to download.
    pub(crate) download: Duration,
}

/// The image that a container is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provided {
    pub(crate) facts: ImageFacts,
    /// What the reference resolved to, if it was pulled.
    pub(crate) pulled: Option<Digest>,
    /// The final `imageID`, for runtimes that determine it when the container is created.
    pub(crate) image_id: Option<String>,
}

/// The images of one node.
#[derive(Debug, Default)]
pub(crate) struct ImageStore {
    runtime: Runtime,
    images: HashMap<Digest, Image>,
    /// Manifests, indexes and configs, each by its own digest.
    content: HashMap<Digest, Bytes>,
}

#[derive(Debug)]
struct Image {
    facts: ImageFacts,
    names: Names,
}

/// The part of a reference that names the repository, registry included.
fn repository(reference: &Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

/// The tag by which an image is found again; none with a digest, as containerd drops the tag beside it.
fn tag(reference: &Reference) -> Option<String> {
    let tag = reference.tag().unwrap_or("latest");
    let tagged = || format!("{}:{tag}", repository(reference));
    reference.digest().is_none().then(tagged)
}

impl ImageStore {
    /// An empty store of this runtime.
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self {
            runtime,
            ..Self::default()
        }
    }

    /// Keeps an image that `reference` named, with the digests of its pull; without them it was loaded from a file.
    ///
    /// Returns whether another image, or this one if it was present before, now reports other names.
    pub(crate) fn add(
        &mut self,
        reference: &Reference,
        digests: Option<Digests<'_>>,
        facts: ImageFacts,
    ) -> bool {
        let config = facts.config.clone();
        let tag = tag(reference);
        let mut renamed = false;
        if let Some(tag) = &tag {
            for (_, other) in self.images.iter_mut().filter(|(key, _)| **key != config) {
                renamed |= other.names.tags.remove(tag);
            }
        }
        let known = self.images.contains_key(&config);
        let image = self.images.entry(config).or_insert_with(|| Image {
            facts,
            names: Names::default(),
        });
        let added = image.names.add(tag, &repository(reference), digests);
        renamed || (known && added)
    }

    /// Removes an image with all its names; returns whether it was there.
    pub(crate) fn remove(&mut self, config: &Digest) -> bool {
        self.images.remove(config).is_some()
    }

    /// The image that is here under this reference.
    pub(crate) fn find(&self, reference: &Reference) -> Option<&ImageFacts> {
        let tag = tag(reference);
        let pull = |digest| format!("{}@{digest}", repository(reference));
        let pull = reference.digest().map(pull);
        let found = |names: &Names| match (&tag, &pull) {
            (Some(tag), _) => names.tags.contains(tag),
            (None, pull) => pull.as_ref().is_some_and(|pull| names.pulls.contains(pull)),
        };
        let image = self.images.values().find(|image| found(&image.names));
        image.map(|image| &image.facts)
    }

    /// Whether this image is here under any name.
    pub(crate) fn has(&self, config: &Digest) -> bool {
        self.images.contains_key(config)
    }

    /// The `imageID` of a container that runs this image.
    pub(crate) fn image_id(&self, config: &Digest) -> String {
        let image = self.images.get(config);
        let none = Names::default();
        let names = image.map_or(&none, |image| &image.names);
        self.runtime.image_id(config, names)
    }

    /// The `image` of a container's status: the first `repository:tag`, or the bare digest of the config.
    pub(crate) fn image_name(&self, config: &Digest) -> String {
        let image = self.images.get(config);
        let tag = image.and_then(|image| image.names.tags.first());
        tag.map_or_else(|| config.to_string(), Clone::clone)
    }

    /// Content that was fetched before.
    pub(crate) fn content(&self, digest: &Digest) -> Option<Bytes> {
        self.content.get(digest).cloned()
    }

    /// Keeps content that was fetched, so that it is not fetched again.
    pub(crate) fn keep_content(&mut self, digest: Digest, content: Bytes) {
        self.content.insert(digest, content);
    }
}

#[cfg(test)]
mod tests;
