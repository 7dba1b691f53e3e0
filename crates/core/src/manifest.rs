//! Manifests and indexes, reduced to the fields that a comparison reads.
//!
//! Thousands of them are cached, so layers, sizes, annotations and entries that cannot run are dropped while parsing.

use std::collections::HashSet;

use serde::{
    Deserialize,
    de::{self, IgnoredAny},
};

use crate::{
    Digest,
    artifact::ArtifactType,
    platform::{Platform, Platforms},
    quoted::Quoted,
    state::Reason,
};

/// The most entries of an index. Real ones have fewer than a hundred, attestations included.
const MAX_ENTRIES: usize = 1024;

/// The content of a digest in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// A list of images, one or more for each platform.
    Index(Index),
    /// One image.
    Image(Image),
}

/// An image manifest, OCI or Docker schema 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of the image configuration, by which runtimes identify an image.
    pub config: Digest,
    /// Its type if it is not a container image, for example a Helm chart.
    pub artifact: Option<ArtifactType>,
}

/// An image index or Docker manifest list: the entries that refer to images, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    pub(crate) entries: Vec<Entry>,
}

/// An entry of an [`Index`].
///
/// One with a platform is an image, whatever its `artifactType`: runtimes read the platform alone. One without is an image
/// unless its `artifactType` or its manifest is that of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The digest of the image manifest or nested index.
    pub digest: Digest,
    /// Whether it is a nested index.
    pub nested: bool,
    /// The platform of the image. An entry without one is for platforms that no other entry matches.
    pub platform: Option<Platform>,
}

/// Why a body is not a valid manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Its media type is neither that of an image nor of an index.
    #[error("cannot read a manifest of type {0}: it is neither an image nor an index")]
    MediaType(Quoted),
    /// It is Docker schema 1, which has no digest of an image configuration.
    #[error("cannot read a manifest of Docker schema 1: push the image again with a current tool")]
    Schema1,
    /// It is not JSON of its media type.
    #[error("cannot read a manifest as JSON of its media type")]
    Malformed(#[from] serde_json::Error),
    /// It is both an image and an index.
    ///
    /// See <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>.
    #[error("cannot read a manifest that is both an image and an index")]
    Ambiguous,
    /// It is an index with too many entries.
    #[error("cannot read an index of {0} entries: at most {MAX_ENTRIES} are allowed")]
    TooManyEntries(usize),
}

impl ManifestError {
    /// The [`Reason`] to report.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::MediaType(_) | Self::Malformed(_) | Self::Ambiguous => {
                Reason::UnsupportedMediaType
            }
            Self::Schema1 => Reason::Schema1,
            Self::TooManyEntries(_) => Reason::ManifestTooLarge,
        }
    }
}

impl Manifest {
    /// Parses a manifest or index, OCI or Docker.
    ///
    /// `media_type` is the response's `Content-Type`, with or without parameters.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] for everything else.
    pub fn parse(media_type: &str, body: &[u8]) -> Result<Self, ManifestError> {
        let kind = Kind::of(media_type).ok_or_else(|| match essence(media_type) {
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => ManifestError::Schema1,
            other => ManifestError::MediaType(Quoted::new(other)),
        })?;
        let document: Document = serde_json::from_slice(body)?;
        let other_kind = match kind {
            Kind::Index => document.config.is_some() || document.layers.is_some(),
            Kind::Image => document.manifests.is_some(),
        };
        if other_kind || document.contradicts(kind) {
            return Err(ManifestError::Ambiguous);
        }
        match kind {
            Kind::Index => document.into_index().map(Self::Index),
            Kind::Image => document.into_image().map(Self::Image),
        }
    }
}

impl Index {
    /// The entries that are images, in order.
    pub fn runnable(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.nested)
    }

    /// The platforms of its images, in order, without images that have none.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.runnable().filter_map(|entry| entry.platform.as_ref())
    }

    /// The entries of the images that count, without nested indexes.
    ///
    /// The first match, as the specification requires of runtimes
    /// (<https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>). If the matches differ in variant or version,
    /// the first of each, because the node's preference is unknown. If there is none, the first image without a platform, which
    /// containerd sorts last (<https://github.com/containerd/containerd/blob/v2.0.0/core/images/image.go>).
    pub fn select(&self, platforms: &Platforms) -> Vec<&Entry> {
        match platforms {
            Platforms::Every | Platforms::Unread => {
                let mut entries = self.with_platform(|_| true);
                entries.extend(self.without_platform());
                entries
            }
            Platforms::Of(wanted) => wanted
                .iter()
                .flat_map(|platform| self.matches(platform))
                .collect(),
        }
    }

    /// The images for one platform.
    fn matches(&self, wanted: &Platform) -> Vec<&Entry> {
        let mut matches = self.with_platform(|offered| wanted.accepts(offered));
        if matches.is_empty() {
            matches = self.with_platform(|offered| wanted.falls_back_to(offered));
        }
        if matches.is_empty() {
            matches.extend(self.without_platform());
        }
        matches
    }

    /// The first image of each platform that matches.
    fn with_platform(&self, matches: impl Fn(&Platform) -> bool) -> Vec<&Entry> {
        let mut seen = HashSet::new();
        self.runnable()
            .filter(|entry| {
                let platform = entry.platform.as_ref();
                platform.is_some_and(|platform| matches(platform) && seen.insert(platform))
            })
            .collect()
    }

    fn without_platform(&self) -> Option<&Entry> {
        self.runnable().find(|entry| entry.platform.is_none())
    }
}

/// The kind of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Index,
    Image,
}

impl Kind {
    fn of(media_type: &str) -> Option<Self> {
        match essence(media_type) {
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => Some(Self::Index),
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => Some(Self::Image),
            _ => None,
        }
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// A manifest or index as JSON. Everything is optional because Go serializes an empty list as `null`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Config>,
    layers: Option<IgnoredAny>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: Option<String>,
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: Digest,
    artifact_type: Option<String>,
    platform: Option<DescriptorPlatform>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct DescriptorPlatform {
    os: Option<Box<str>>,
    architecture: Option<Box<str>>,
    variant: Option<Box<str>>,
    #[serde(rename = "os.version")]
    os_version: Option<Box<str>>,
}

#[derive(Deserialize)]
struct Annotations {
    /// The mark of `BuildKit`'s attestations;
    /// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<IgnoredAny>,
}

impl Document {
    /// Whether the body's own media type contradicts that of the response.
    fn contradicts(&self, kind: Kind) -> bool {
        self.media_type
            .as_deref()
            .is_some_and(|media_type| !media_type.is_empty() && Kind::of(media_type) != Some(kind))
    }

    fn into_image(self) -> Result<Image, ManifestError> {
        let config = self
            .config
            .ok_or_else(|| ManifestError::Malformed(de::Error::missing_field("config")))?;
        Ok(Image {
            artifact: ArtifactType::of_manifest(
                config.media_type.as_deref(),
                self.artifact_type.as_deref(),
            ),
            config: config.digest,
        })
    }

    fn into_index(self) -> Result<Index, ManifestError> {
        let descriptors = self.manifests.unwrap_or_default();
        if descriptors.len() > MAX_ENTRIES {
            return Err(ManifestError::TooManyEntries(descriptors.len()));
        }
        let mut entries: Vec<Entry> = descriptors
            .into_iter()
            .filter_map(Descriptor::into_entry)
            .collect();
        entries.shrink_to_fit();
        Ok(Index { entries })
    }
}

impl Descriptor {
    /// The entry, unless it cannot refer to a container image.
    fn into_entry(self) -> Option<Entry> {
        let kind = Kind::of(&self.media_type)?;
        let attestation = self
            .annotations
            .is_some_and(|annotations| annotations.reference_type.is_some());
        let platform = self.platform.and_then(DescriptorPlatform::into_platform);
        let unknown = platform.as_ref().is_some_and(|platform| {
            &*platform.os == "unknown" || &*platform.architecture == "unknown"
        });
        let artifact = platform.is_none()
            && ArtifactType::of_descriptor(self.artifact_type.as_deref()).is_some();
        if attestation || unknown || artifact {
            return None;
        }
        Some(Entry {
            digest: self.digest,
            nested: kind == Kind::Index,
            platform,
        })
    }
}

impl DescriptorPlatform {
    /// The platform, unless it is empty: some tools write empty strings.
    fn into_platform(self) -> Option<Platform> {
        let os = self.os.unwrap_or_default();
        let architecture = self.architecture.unwrap_or_default();
        let filled = |text: Option<Box<str>>| text.filter(|text| !text.is_empty());
        (!os.is_empty() || !architecture.is_empty()).then(|| Platform {
            os,
            architecture,
            variant: filled(self.variant),
            os_version: filled(self.os_version),
        })
    }
}

#[cfg(test)]
mod tests;
