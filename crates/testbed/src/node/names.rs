//! What an image is known as on a node.

use std::collections::BTreeSet;

use oci_spec::image::Digest;

/// What an image is known as on a node.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `repository:tag`
    pub(super) tags: BTreeSet<String>,
    /// `repository@digest` with what the tag resolved to.
    pub(super) pulls: BTreeSet<String>,
    /// The repositories it was pulled from.
    pub(super) repositories: BTreeSet<String>,
    /// What tags resolved to, and the image's own manifests.
    pub(super) manifests: BTreeSet<String>,
}

/// The digests of one pull.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digests<'a> {
    /// What the tag resolved to: an index or a manifest.
    pub(super) target: &'a Digest,
    /// The manifest of the image.
    pub(super) manifest: &'a Digest,
}

impl Names {
    /// Says whether anything was not known before.
    pub(super) fn add(
        &mut self,
        tag: Option<String>,
        repository: &str,
        digests: Option<Digests<'_>>,
    ) -> bool {
        let mut added = tag.is_some_and(|tag| self.tags.insert(tag));
        if let Some(Digests { target, manifest }) = digests {
            added |= self.repositories.insert(repository.to_owned());
            added |= self.pulls.insert(format!("{repository}@{target}"));
            added |= self.manifests.insert(target.to_string());
            added |= self.manifests.insert(manifest.to_string());
        }
        added
    }
}
