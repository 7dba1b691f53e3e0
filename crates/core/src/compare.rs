//! Whether what runs is what the tag means now.
//!
//! Two digests may well stand for one image: an index gets a new digest with each build although its images are the
//! same, and nodes name an image by any digest that they have seen it under. Only an equal image configuration is sure
//! to be what a restart would lead to, so only a difference there is a reason to restart.
//!
//! No I/O happens here. [`compare`] says which manifests it [needs](Step::Needs), the caller fetches them and asks
//! again.
//!
//! # Image IDs of other repositories
//!
//! A node that has pulled one image from two repositories reports the alphabetically first of its names for both, so the
//! image ID of a pod of `registry.corp/nginx` may be `docker.io/library/nginx@…`, with a digest that `registry.corp`
//! has never had. Restarting the pod does not change that. What the container runs is then concluded from when it was
//! pulled ([`Question::pulled`]): it is what the tag named at that time, or something newer. Without such evidence the
//! pod counts as stale, once, as one does that was loaded from a file: the restart is the evidence.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Digest, Reference, image_id::ImageId, manifest::Manifest, platform::Platforms, state::Reason,
};

mod reading;

use reading::{Images, Reading, Side};

/// How many images of an index are considered for their configuration, and how many nested indexes are read.
const MAX_MANIFESTS: usize = 64;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The image of the container, as its pod names it.
    pub reference: &'a Reference,
    /// The digest behind its tag.
    pub tag: &'a Digest,
    /// What the container runs, as its node reports it.
    pub running: &'a ImageId,
    /// A digest that the tag named when what runs was pulled, or earlier, where one is known.
    pub pulled: Option<&'a Digest>,
    /// What counts of an index.
    pub platforms: &'a Platforms,
}

/// What the registry has for a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The manifest.
    Manifest(Arc<Manifest>),
    /// It does not have it, or not for us: 401, 403 or 404 for that digest.
    Unavailable,
    /// It could not be asked, or its answer made no sense.
    Failed(Reason),
}

/// What a comparison says about a container of one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It runs what the tag means: [`Reason::Current`], [`Reason::IndexChangedOnly`] or [`Reason::SameConfig`].
    Current(Reason),
    /// It runs something else, and a restart would change that.
    Stale,
    /// It does not run yet.
    NotStarted,
    /// It runs something else, and what the tag names could not start in its place: [`Reason::NoMatchingPlatform`] or
    /// [`Reason::UnsupportedMediaType`].
    CannotStart(Reason),
    /// It cannot be known, so nothing may be restarted.
    Unknown(Reason),
}

impl Verdict {
    /// Why nothing may be restarted, where nothing may.
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

/// Compares what runs with the digest behind the tag.
///
/// `known` is what the caller has fetched so far. Nothing is asked for that could not change the outcome: in the steady
/// state, when the image ID names the digest of the tag, that is nothing at all.
///
/// An image ID that is [opaque](ImageId::Opaque) gives `Unknown(NotStarted)`: nothing that could be compared has
/// started, and it is never stale.
pub fn compare(question: Question<'_>, known: &dyn Fn(&Digest) -> Option<Answer>) -> Step {
    let comparison = Comparison {
        question,
        reading: Reading {
            platforms: question.platforms,
            known,
        },
    };
    match comparison.verdict() {
        Ok(verdict) | Err(Step::Done(verdict)) => Step::Done(comparison.doubted(verdict)),
        Err(needs) => needs,
    }
}

/// The arguments of [`compare`].
///
/// Its methods return a [`Step`] as error when it settles the comparison or when they cannot go on without a manifest.
struct Comparison<'a> {
    question: Question<'a>,
    reading: Reading<'a>,
}

impl Comparison<'_> {
    fn verdict(&self) -> Result<Verdict, Step> {
        let running = self.question.running;
        let digest = match running {
            ImageId::NotStarted => return Ok(Verdict::NotStarted),
            ImageId::Opaque(_) => return Ok(Verdict::Unknown(Reason::NotStarted)),
            ImageId::RepoDigest { digest, .. } | ImageId::Bare(digest) => digest,
        };
        if digest == self.question.tag {
            return Ok(Verdict::Current(Reason::Current));
        }
        let wanted = self.reading.images(self.question.tag, Side::Tag)?;
        if wanted.manifests.is_empty() {
            return Ok(Verdict::CannotStart(Reason::NoMatchingPlatform));
        }
        if wanted.manifests.contains(digest) {
            return Ok(Verdict::Current(Reason::Current)); // CRI-O and Docker may name the platform's manifest
        }
        match running {
            ImageId::Bare(_) => self.by_config(digest, wanted),
            _ => self.by_manifests(digest, wanted),
        }
    }

    /// Compares the manifests that `running` stands for with the `wanted` ones, then their configurations.
    fn by_manifests(&self, running: &Digest, wanted: Images) -> Result<Verdict, Step> {
        let had = match self.reading.images(running, Side::Running) {
            Err(Step::Done(Verdict::Stale)) if wanted.artifact.is_some() => return Ok(no_image()),
            Err(Step::Done(Verdict::Stale)) => match self.stand_in() {
                Some(pulled) if pulled == self.question.tag => {
                    return Ok(Verdict::Current(Reason::SameConfig));
                }
                Some(pulled) => self.reading.images(pulled, Side::Running)?,
                None => return Ok(Verdict::Stale),
            },
            had => had?,
        };
        // Of an artifact that runs it is plain that the node can run its kind.
        if wanted.artifact.is_some() && wanted.artifact != had.artifact {
            return Ok(no_image());
        }
        if set(&had.manifests) == set(&wanted.manifests) {
            return Ok(Verdict::Current(Reason::IndexChangedOnly));
        }
        let wanted = self.reading.without_artifacts(wanted, Side::Tag)?;
        let had = self.reading.without_artifacts(had, Side::Running)?;
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
        let old = self.reading.configs(old).complete(Side::Running)?;
        let new = wanted.iter().filter(|digest| !had_set.contains(digest));
        let new = self.reading.configs(new).complete(Side::Tag)?;
        // Where the sets of manifests agree, so do their configurations: those are read last, and mostly not at all.
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
        let common = self.reading.configs(common.into_iter());
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
        let configs = self.reading.configs(wanted.manifests.iter());
        if configs.contain(running) {
            return Ok(Verdict::Current(Reason::Current));
        }
        configs.complete(Side::Tag)?;
        self.reading.without_artifacts(wanted, Side::Tag)?;
        Ok(Verdict::Stale)
    }

    /// What stands in for a running digest that the repository does not have: nothing where that is its own, and so gone.
    fn stand_in(&self) -> Option<&Digest> {
        let Question {
            reference, running, ..
        } = self.question;
        let pulled = self.question.pulled;
        pulled.filter(|_| running.is_of_another_repository(reference))
    }

    /// The verdict, unless it rests on the platform of a node that could not be read.
    fn doubted(&self, verdict: Verdict) -> Verdict {
        let unread = *self.question.platforms == Platforms::Unread;
        if unread && verdict == Verdict::Stale && self.depends_on_platform() {
            return Verdict::Unknown(Reason::ApiServer);
        }
        verdict
    }

    /// Whether a verdict of stale may be another one for some platform: not if both sides are single images, or indexes for
    /// the same one platform.
    fn depends_on_platform(&self) -> bool {
        let tag = self.reading.offered(self.question.tag).unwrap_or_default();
        let running = match self.question.running {
            ImageId::RepoDigest { digest, .. } => self.reading.offered(digest),
            _ => None,
        };
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
