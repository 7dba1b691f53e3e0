//! Compares the running image with the one that the tag names now.
//!
//! Two digests may stand for one image: each build gives an index a new digest even if its images are the same, and nodes
//! report any digest under which they have seen an image. Only the image configuration identifies what a restart would run,
//! so only a different configuration is a reason to restart.
//!
//! No I/O happens here. [`compare`] returns which manifests it [needs](Step::Needs); the caller fetches them and calls it
//! again.
//!
//! # Image IDs of other repositories
//!
//! A node that has pulled one image from two repositories reports the alphabetically first of its names for both, so the
//! image ID of a pod of `registry.corp/nginx` may be `docker.io/library/nginx@…`, with a digest that `registry.corp`
//! has never had. Restarting the pod does not change that. The running image is then inferred from the time of the pull
//! ([`Comparison::pulled`]): it is what the tag named at that time, or something newer. Without such evidence the pod counts
//! as stale once, like one whose image was loaded from a file: the restart provides the evidence.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Digest, Reference, image_id::ImageId, manifest::Manifest, platform::Platforms, state::Reason,
};

mod manifests;

use manifests::{Images, ManifestReader, Side};

/// The most images of an index whose configurations are compared, and the most nested indexes that are read.
const MAX_MANIFESTS: usize = 64;

/// The inputs of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The container's image in the pod's specification.
    pub reference: &'a Reference,
    /// The digest behind its tag.
    pub tag: &'a Digest,
    /// The image that the container runs, as its node reports it.
    pub running: &'a ImageId,
    /// A digest that the tag named when the running image was pulled, or earlier, if known.
    pub pulled: Option<&'a Digest>,
    /// The platforms of an index that count.
    pub platforms: &'a Platforms,
}

/// The result of looking a manifest up by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestLookup {
    /// The manifest.
    Manifest(Arc<Manifest>),
    /// The registry does not have it, or denies access: 401, 403 or 404 for that digest.
    Unavailable,
    /// The request failed, or the response was invalid.
    Failed(Reason),
}

/// The result of a comparison, for a container of one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs the tag's image: [`Reason::Current`], [`Reason::IndexChangedOnly`] or [`Reason::SameConfig`].
    Current(Reason),
    /// It runs another image, and a restart would change that.
    Stale,
    /// It does not run yet.
    NotStarted,
    /// It runs another image, and the tag's could not start in its place: [`Reason::NoMatchingPlatform`] or
    /// [`Reason::UnsupportedMediaType`].
    CannotStart(Reason),
    /// It is undetermined, so nothing may be restarted.
    Unknown(Reason),
}

impl Verdict {
    /// Why nothing may be restarted, if so.
    pub const fn doubt(self) -> Option<Reason> {
        match self {
            Self::CannotStart(reason) | Self::Unknown(reason) => Some(reason),
            Self::Current(_) | Self::Stale | Self::NotStarted => None,
        }
    }
}

/// The next step of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Fetch these manifests by digest, in the repository of the container's own image, and compare again.
    Needs(Vec<Digest>),
    /// The comparison is done.
    Done(Verdict),
}

/// Compares the running image with the digest behind the tag.
///
/// `known` looks up the manifests that the caller has fetched so far. Only manifests that can change the result are needed:
/// none in the steady state, when the image ID has the digest of the tag.
///
/// An [opaque](ImageId::Opaque) image ID results in `Unknown(NotStarted)`: nothing comparable has started, and it is never
/// stale.
pub fn compare(
    comparison: Comparison<'_>,
    known: &dyn Fn(&Digest) -> Option<ManifestLookup>,
) -> Step {
    let comparer = Comparer {
        comparison,
        reader: ManifestReader {
            platforms: comparison.platforms,
            known,
        },
    };
    match comparer.verdict() {
        Ok(verdict) | Err(Step::Done(verdict)) => Step::Done(comparer.doubted(verdict)),
        Err(needs) => needs,
    }
}

/// The arguments of [`compare`].
///
/// Its methods return a [`Step`] as the error if it settles the comparison, or if they need another manifest to continue.
struct Comparer<'a> {
    comparison: Comparison<'a>,
    reader: ManifestReader<'a>,
}

impl Comparer<'_> {
    fn verdict(&self) -> Result<Verdict, Step> {
        let running = self.comparison.running;
        let digest = match running {
            ImageId::NotStarted => return Ok(Verdict::NotStarted),
            ImageId::Opaque(_) => return Ok(Verdict::Unknown(Reason::NotStarted)),
            ImageId::RepoDigest { digest, .. } | ImageId::Bare(digest) => digest,
        };
        if digest == self.comparison.tag {
            return Ok(Verdict::Current(Reason::Current));
        }
        let wanted = self.reader.images(self.comparison.tag, Side::Tag)?;
        if wanted.manifests.is_empty() {
            return Ok(Verdict::CannotStart(Reason::NoMatchingPlatform));
        }
        if wanted.manifests.contains(digest) {
            return Ok(Verdict::Current(Reason::Current)); // CRI-O and Docker may report the platform's manifest
        }
        match running {
            ImageId::Bare(_) => self.by_config(digest, wanted),
            _ => self.by_manifests(digest, wanted),
        }
    }

    /// Compares the manifests behind `running` with the `wanted` ones, then their configurations.
    fn by_manifests(&self, running: &Digest, wanted: Images) -> Result<Verdict, Step> {
        let had = match self.reader.images(running, Side::Running) {
            Err(Step::Done(Verdict::Stale)) if wanted.artifact.is_some() => return Ok(no_image()),
            Err(Step::Done(Verdict::Stale)) => match self.substitute() {
                Some(pulled) if pulled == self.comparison.tag => {
                    return Ok(Verdict::Current(Reason::SameConfig));
                }
                Some(pulled) => self.reader.images(pulled, Side::Running)?,
                None => return Ok(Verdict::Stale),
            },
            had => had?,
        };
        // If an artifact of this type runs already, the node can run it.
        if wanted.artifact.is_some() && wanted.artifact != had.artifact {
            return Ok(no_image());
        }
        if set(&had.manifests) == set(&wanted.manifests) {
            return Ok(Verdict::Current(Reason::IndexChangedOnly));
        }
        let wanted = self.reader.without_artifacts(wanted, Side::Tag)?;
        let had = self.reader.without_artifacts(had, Side::Running)?;
        self.by_images(&had.manifests, &wanted.manifests)
    }

    /// Compares manifests that are known to be images.
    fn by_images(&self, had: &[Digest], wanted: &[Digest]) -> Result<Verdict, Step> {
        let (had_set, wanted_set) = (set(had), set(wanted));
        if had_set == wanted_set {
            return Ok(Verdict::Current(Reason::IndexChangedOnly));
        }
        if had.is_empty() {
            return Ok(Verdict::Stale);
        }
        if had.len().max(wanted.len()) > MAX_MANIFESTS {
            return Ok(Verdict::Unknown(Reason::ManifestTooLarge));
        }
        let old = had.iter().filter(|digest| !wanted_set.contains(digest));
        let old = self.reader.configs(old).complete(Side::Running)?;
        let new = wanted.iter().filter(|digest| !had_set.contains(digest));
        let new = self.reader.configs(new).complete(Side::Tag)?;
        // Manifests in both sets have equal configurations: those are read last, and usually not at all.
        let differing: Vec<&Digest> = old.symmetric_difference(&new).collect();
        if differing.is_empty() {
            return Ok(Verdict::Current(Reason::SameConfig));
        }
        let common: Vec<&Digest> = had
            .iter()
            .filter(|digest| wanted_set.contains(digest))
            .collect();
        if differing.len() > common.len() {
            return Ok(Verdict::Stale);
        }
        let common = self.reader.configs(common.into_iter());
        let common = common.complete(Side::Tag)?;
        Ok(
            if differing.into_iter().all(|config| common.contains(config)) {
                Verdict::Current(Reason::SameConfig)
            } else {
                Verdict::Stale
            },
        )
    }

    /// Finds `running` among the configurations of the `wanted` manifests.
    fn by_config(&self, running: &Digest, wanted: Images) -> Result<Verdict, Step> {
        if wanted.artifact.is_some() {
            return Ok(no_image());
        }
        if wanted.manifests.len() > MAX_MANIFESTS {
            return Ok(Verdict::Unknown(Reason::ManifestTooLarge));
        }
        let configs = self.reader.configs(wanted.manifests.iter());
        if configs.contains(running) {
            return Ok(Verdict::Current(Reason::Current));
        }
        configs.complete(Side::Tag)?;
        self.reader.without_artifacts(wanted, Side::Tag)?;
        Ok(Verdict::Stale)
    }

    /// The digest to use for a running one of another repository. One of this repository that it no longer has was deleted.
    fn substitute(&self) -> Option<&Digest> {
        let Comparison {
            reference,
            running,
            pulled,
            ..
        } = self.comparison;
        pulled.filter(|_| running.is_from_another_repository(reference))
    }

    /// The verdict, unless it depends on the platform of a node that could not be read.
    fn doubted(&self, verdict: Verdict) -> Verdict {
        let unread = *self.comparison.platforms == Platforms::Unread;
        if unread && verdict == Verdict::Stale && self.depends_on_platform() {
            return Verdict::Unknown(Reason::ApiServer);
        }
        verdict
    }

    /// Whether a stale verdict might differ on some platform: not if both sides are single images, or indexes for the same single
    /// platform.
    fn depends_on_platform(&self) -> bool {
        let tag = self.reader.offered(self.comparison.tag).unwrap_or_default();
        let running = match self.comparison.running {
            ImageId::RepoDigest { digest, .. } => self.reader.offered(digest),
            _ => None,
        };
        let running = running.or_else(|| self.reader.offered(self.substitute()?));
        match tag.len() {
            0 => running.is_some_and(|running| running.len() > 1),
            1 => running != Some(tag),
            _ => true,
        }
    }
}

fn set(digests: &[Digest]) -> HashSet<&Digest> {
    digests.iter().collect()
}

const fn no_image() -> Verdict {
    Verdict::CannotStart(Reason::UnsupportedMediaType)
}

#[cfg(test)]
mod tests;
