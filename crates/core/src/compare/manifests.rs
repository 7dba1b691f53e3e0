//! Reads the manifests of a comparison, as far as they have been fetched.

use std::{collections::HashSet, sync::Arc};

use super::{MAX_MANIFESTS, ManifestLookup, Step, Verdict};
use crate::{
    Digest,
    artifact::ArtifactType,
    manifest::{Entry, Index, Manifest},
    platform::{Platform, Platforms},
    state::Reason,
};

/// How deep indexes may be nested in an index.
const MAX_DEPTH: usize = 4;

/// The side of the comparison that a manifest is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Tag,
    Running,
}

impl Side {
    /// The verdict if the registry does not have a manifest of this side.
    const fn verdict_if_unavailable(self) -> Verdict {
        match self {
            Self::Tag => Verdict::Unknown(Reason::TagNotFound),
            Self::Running => Verdict::Stale,
        }
    }
}

/// The images behind a digest, for the platforms that count.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Their manifests, each once.
    pub(super) manifests: Vec<Digest>,
    /// The subset that is listed without a platform, and so may be artifacts.
    unproven: Vec<Digest>,
    /// Whether the index lists images with a platform.
    has_platforms: bool,
    /// The type of the digest itself, if it is not an image.
    pub(super) artifact: Option<ArtifactType>,
}

/// Reads the manifests that are known.
///
/// Its methods return a [`Step`] as the error if it settles the comparison, or if they need another manifest to continue.
pub(super) struct ManifestReader<'a> {
    pub(super) platforms: &'a Platforms,
    pub(super) known: &'a dyn Fn(&Digest) -> Option<ManifestLookup>,
}

impl ManifestReader<'_> {
    /// The images behind `digest`, for the platforms that count.
    pub(super) fn images(&self, digest: &Digest, side: Side) -> Result<Images, Step> {
        let mut gaps = Gaps::default();
        let manifest = self.read(digest, &mut gaps);
        gaps.check(side)?;
        match manifest.as_deref() {
            Some(Manifest::Index(index)) => {
                let mut flat = Flattened::default();
                self.flatten(index, 0, &mut flat)?;
                flat.gaps.check(side)?;
                Ok(self.selected(&Index {
                    entries: flat.entries,
                }))
            }
            Some(Manifest::Image(image)) => Ok(Images {
                manifests: vec![digest.clone()],
                artifact: image.artifact.clone(),
                ..Images::default()
            }),
            None => Ok(Images::default()),
        }
    }

    fn selected(&self, index: &Index) -> Images {
        let mut images = Images {
            has_platforms: index.platforms().next().is_some(),
            ..Images::default()
        };
        let mut seen = HashSet::new();
        let selected = index.select(self.platforms).into_iter();
        for entry in selected.filter(|entry| seen.insert(&entry.digest)) {
            images.manifests.push(entry.digest.clone());
            if entry.platform.is_none() {
                images.unproven.push(entry.digest.clone());
            }
        }
        images
    }

    /// Removes entries without a platform whose manifests turn out to be artifacts.
    pub(super) fn without_artifacts(&self, mut images: Images, side: Side) -> Result<Images, Step> {
        let mut gaps = Gaps::default();
        let mut artifacts = HashSet::new();
        for digest in &images.unproven {
            if let Some(Manifest::Image(image)) = self.read(digest, &mut gaps).as_deref()
                && image.artifact.is_some()
            {
                artifacts.insert(digest.clone());
            }
        }
        gaps.check(side)?;
        images
            .manifests
            .retain(|digest| !artifacts.contains(digest));
        if images.manifests.is_empty() && side == Side::Tag {
            let reason = if images.has_platforms {
                Reason::NoMatchingPlatform
            } else {
                Reason::UnsupportedMediaType
            };
            return Err(Step::Done(Verdict::CannotStart(reason)));
        }
        Ok(images)
    }

    /// The distinct platforms of an index, empty for an image; `None` if it cannot be read.
    pub(super) fn offered(&self, digest: &Digest) -> Option<HashSet<Option<Platform>>> {
        let manifest = self.read(digest, &mut Gaps::default())?;
        let Manifest::Index(index) = &*manifest else {
            return Some(HashSet::new());
        };
        let mut flat = Flattened::default();
        self.flatten(index, 0, &mut flat).ok()?;
        flat.gaps.check(Side::Running).ok()?;
        let entries = flat.entries.into_iter();
        Some(entries.map(|entry| entry.platform).collect())
    }

    /// Replaces nested indexes with their entries.
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
    pub(super) fn configs<'d>(&self, manifests: impl Iterator<Item = &'d Digest>) -> Configs {
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

    /// The manifest of this digest; if it cannot be read, `gaps` records why.
    fn read(&self, digest: &Digest, gaps: &mut Gaps) -> Option<Arc<Manifest>> {
        match (self.known)(digest) {
            Some(ManifestLookup::Manifest(manifest)) => return Some(manifest),
            Some(ManifestLookup::Unavailable) => gaps.unavailable = true,
            Some(ManifestLookup::Failed(reason)) => gaps.failed = Some(reason),
            None if gaps.missing.contains(digest) => {}
            None => gaps.missing.push(digest.clone()),
        }
        None
    }
}

/// An index with its nested indexes replaced by their entries.
#[derive(Default)]
struct Flattened {
    entries: Vec<Entry>,
    nested: usize,
    gaps: Gaps,
}

/// The image configurations of some manifests.
#[derive(Default)]
pub(super) struct Configs {
    digests: HashSet<Digest>,
    gaps: Gaps,
}

impl Configs {
    /// Whether `config` is among those that could be read.
    pub(super) fn contains(&self, config: &Digest) -> bool {
        self.digests.contains(config)
    }

    /// All of them, if all could be read.
    pub(super) fn complete(self, side: Side) -> Result<HashSet<Digest>, Step> {
        self.gaps.check(side)?;
        Ok(self.digests)
    }
}

/// The manifests that could not be read.
#[derive(Default)]
struct Gaps {
    missing: Vec<Digest>,
    failed: Option<Reason>,
    unavailable: bool,
}

impl Gaps {
    /// Returns an error if there are any. Missing manifests come first, so that the result does not depend on which ones happen
    /// to be known already.
    fn check(self, side: Side) -> Result<(), Step> {
        if !self.missing.is_empty() {
            Err(Step::Needs(self.missing))
        } else if let Some(reason) = self.failed {
            Err(unknown(reason))
        } else if self.unavailable {
            Err(Step::Done(side.verdict_if_unavailable()))
        } else {
            Ok(())
        }
    }
}

const fn unknown(reason: Reason) -> Step {
    Step::Done(Verdict::Unknown(reason))
}
