//! Whether what runs is what the tag means now.
//!
//! Two digests may well stand for one image: an index gets a new digest with each build although its images are the
//! same, and nodes name an image by any digest that they have seen it under. Only an equal image configuration is sure
//! to be what a restart would lead to, so only a difference there is a reason to restart.
//!
//! No I/O happens here. [`compare`] says which manifests it [needs](Step::Needs), the caller fetches them and asks
//! again.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Digest,
    image_id::ImageId,
    manifest::{Entry, Index, Manifest},
    platform::Platforms,
    state::Reason,
};

/// How deep indexes may be nested in an index.
const MAX_DEPTH: usize = 4;

/// How many nested indexes of an index are read, and how many of its images are considered for their configuration.
const MAX_MANIFESTS: usize = 64;

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
    /// It cannot be told, so nothing may be restarted.
    Unknown(Reason),
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
/// `platforms` is what counts of an index, `known` what the caller has fetched so far. Nothing is asked for that could
/// not change the outcome: in the steady state, when `running` names the digest of `tag`, that is nothing at all.
///
/// An image ID that is [opaque](ImageId::Opaque) gives `Unknown(NotStarted)`: nothing that could be compared has
/// started, and it is never stale.
pub fn compare(
    tag: &Digest,
    running: &ImageId,
    platforms: &Platforms,
    known: &dyn Fn(&Digest) -> Option<Answer>,
) -> Step {
    let comparison = Comparison {
        tag,
        platforms,
        known,
    };
    match comparison.verdict(running) {
        Ok(verdict) => Step::Done(verdict),
        Err(step) => step,
    }
}

/// Which of the two sides a manifest is read for. It decides what follows from its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Tag,
    Running,
}

impl Side {
    /// What follows when the registry does not have a manifest of this side.
    const fn without(self) -> Verdict {
        match self {
            Self::Tag => Verdict::Unknown(Reason::TagNotFound),
            Self::Running => Verdict::Stale,
        }
    }
}

/// The arguments of [`compare`].
///
/// Its methods return a [`Step`] as error when it settles the comparison or when they cannot go on without a manifest.
struct Comparison<'a> {
    tag: &'a Digest,
    platforms: &'a Platforms,
    known: &'a dyn Fn(&Digest) -> Option<Answer>,
}

impl Comparison<'_> {
    fn verdict(&self, running: &ImageId) -> Result<Verdict, Step> {
        let digest = match running {
            ImageId::NotStarted => return Ok(Verdict::NotStarted),
            ImageId::Opaque(_) => return Ok(Verdict::Unknown(Reason::NotStarted)),
            ImageId::RepoDigest { digest, .. } | ImageId::Bare(digest) => digest,
        };
        if digest == self.tag {
            return Ok(Verdict::Current(Reason::Current));
        }
        let wanted = self.images(self.tag, Side::Tag)?;
        if wanted.is_empty() {
            return Ok(Verdict::Unknown(Reason::NoMatchingPlatform));
        }
        if wanted.contains(digest) {
            return Ok(Verdict::Current(Reason::Current)); // CRI-O and Docker may name the platform's manifest
        }
        match running {
            ImageId::Bare(_) => self.by_config(digest, &wanted),
            _ => self.by_manifests(digest, &wanted),
        }
    }

    /// Compares the manifests that `running` stands for with the `wanted` ones, then their configurations.
    fn by_manifests(&self, running: &Digest, wanted: &[Digest]) -> Result<Verdict, Step> {
        let had = self.images(running, Side::Running)?;
        let (had_set, wanted_set) = (set(&had), set(wanted));
        if had_set == wanted_set {
            return Ok(Verdict::Current(Reason::IndexChangedOnly));
        }
        if had.is_empty() {
            return Ok(Verdict::Stale);
        }
        if had.len().max(wanted.len()) > MAX_MANIFESTS {
            return Err(unknown(Reason::ManifestTooLarge));
        }
        let old = self.configs(had.iter().filter(|digest| !wanted_set.contains(digest)));
        let old = old.complete(Side::Running)?;
        let new = self.configs(wanted.iter().filter(|digest| !had_set.contains(digest)));
        let new = new.complete(Side::Tag)?;
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
        let common = self.configs(common.into_iter()).complete(Side::Tag)?;
        Ok(
            if differing.into_iter().all(|config| common.contains(config)) {
                Verdict::Current(Reason::SameConfig)
            } else {
                Verdict::Stale
            },
        )
    }

    /// Looks for `running` among the configurations of the `wanted` manifests.
    fn by_config(&self, running: &Digest, wanted: &[Digest]) -> Result<Verdict, Step> {
        if wanted.len() > MAX_MANIFESTS {
            return Err(unknown(Reason::ManifestTooLarge));
        }
        let configs = self.configs(wanted.iter());
        if configs.digests.contains(running) {
            return Ok(Verdict::Current(Reason::Current));
        }
        configs.complete(Side::Tag)?;
        Ok(Verdict::Stale)
    }

    /// The manifests of the images that `digest` stands for on the platforms that count, each once.
    fn images(&self, digest: &Digest, side: Side) -> Result<Vec<Digest>, Step> {
        let mut gaps = Gaps::default();
        let manifest = self.read(digest, &mut gaps);
        gaps.close(side)?;
        match manifest.as_deref() {
            Some(Manifest::Index(index)) => {
                let mut flat = Flattened::default();
                self.flatten(index, 0, &mut flat)?;
                flat.gaps.close(side)?;
                let index = Index {
                    entries: flat.entries,
                };
                let mut seen = HashSet::new();
                let selected = index.select(self.platforms).into_iter();
                Ok(selected
                    .filter(|digest| seen.insert(*digest))
                    .cloned()
                    .collect())
            }
            Some(Manifest::Image(image)) if !image.artifact || side == Side::Running => {
                Ok(vec![digest.clone()])
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Replaces nested indexes by their entries, in place.
    fn flatten(&self, index: &Index, depth: usize, flat: &mut Flattened) -> Result<(), Step> {
        for entry in &index.entries {
            if !entry.nested {
                flat.entries.push(entry.clone());
                continue;
            }
            flat.nested += 1;
            if depth == MAX_DEPTH || flat.nested > MAX_MANIFESTS {
                return Err(unknown(Reason::ManifestTooLarge));
            }
            match self.read(&entry.digest, &mut flat.gaps).as_deref() {
                Some(Manifest::Index(nested)) => self.flatten(nested, depth + 1, flat)?,
                Some(Manifest::Image(_)) => flat.gaps.failed = Some(Reason::UnsupportedMediaType),
                None => {}
            }
        }
        Ok(())
    }

    /// The image configurations of `manifests`.
    fn configs<'d>(&self, manifests: impl Iterator<Item = &'d Digest>) -> Configs {
        let mut configs = Configs::default();
        for digest in manifests {
            match self.read(digest, &mut configs.gaps).as_deref() {
                Some(Manifest::Image(image)) => {
                    configs.digests.insert(image.config.clone());
                }
                Some(Manifest::Index(_)) => {
                    configs.gaps.failed = Some(Reason::UnsupportedMediaType);
                }
                None => {}
            }
        }
        configs
    }

    /// The manifest of this digest, or nothing and a note in `gaps`.
    fn read(&self, digest: &Digest, gaps: &mut Gaps) -> Option<Arc<Manifest>> {
        match (self.known)(digest) {
            Some(Answer::Manifest(manifest)) => return Some(manifest),
            Some(Answer::Unavailable) => gaps.unavailable = true,
            Some(Answer::Failed(reason)) => gaps.failed = Some(reason),
            None if gaps.missing.contains(digest) => {}
            None => gaps.missing.push(digest.clone()),
        }
        None
    }
}

/// An index with its nested indexes replaced by what they list.
#[derive(Default)]
struct Flattened {
    entries: Vec<Entry>,
    nested: usize,
    gaps: Gaps,
}

/// The image configurations of some manifests.
#[derive(Default)]
struct Configs {
    digests: HashSet<Digest>,
    gaps: Gaps,
}

impl Configs {
    fn complete(self, side: Side) -> Result<HashSet<Digest>, Step> {
        self.gaps.close(side)?;
        Ok(self.digests)
    }
}

/// What could not be read.
#[derive(Default)]
struct Gaps {
    missing: Vec<Digest>,
    failed: Option<Reason>,
    unavailable: bool,
}

impl Gaps {
    /// What follows from the gaps, if there are any. What is missing comes first, so that the outcome does not depend
    /// on what happens to be known already.
    fn close(self, side: Side) -> Result<(), Step> {
        if !self.missing.is_empty() {
            Err(Step::Needs(self.missing))
        } else if let Some(reason) = self.failed {
            Err(unknown(reason))
        } else if self.unavailable {
            Err(Step::Done(side.without()))
        } else {
            Ok(())
        }
    }
}

fn set(digests: &[Digest]) -> HashSet<&Digest> {
    digests.iter().collect()
}

const fn unknown(reason: Reason) -> Step {
    Step::Done(Verdict::Unknown(reason))
}

#[cfg(test)]
mod tests;
