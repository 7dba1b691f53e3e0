//! The names of an image on a node.

use std::collections::BTreeSet;

use oci_spec::image::Digest;

/// The names of an image on a node.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// `repository:tag`
    pub(crate) tags: BTreeSet<String>,
    /// `repository@digest` with what the tag resolved to.
    pub(crate) pulls: BTreeSet<String>,
    /// The repositories it was pulled from.
    pub(crate) repositories: BTreeSet<String>,
    /// What tags resolved to, and the image's own manifests.
    pub(crate) manifests: BTreeSet<String>,
}

/// The digests of one pull.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digests<'a> {
    /// What the tag resolved to: an index or a manifest.
    pub(crate) target: &'a Digest,
    /// The manifest of the image.
    pub(crate) manifest: &'a Digest,
}

impl Names {
    /// Returns whether anything was added.
    pub(crate) fn add(
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
