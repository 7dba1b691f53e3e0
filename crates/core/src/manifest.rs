//! Manifests and indexes, reduced to what a comparison reads.
//!
//! Thousands of them are cached, so layers, sizes, annotations and whatever else cannot be run is dropped at once.

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    Digest,
    artifact::ArtifactType,
    found::Found,
    platform::{Platform, Platforms},
    state::Reason,
};

/// The most entries of an index that are accepted. Indexes of real images have fewer than a hundred, attestations included.
const MAX_ENTRIES: usize = 1024;

/// What a digest stands for in a registry.
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
    /// The digest of the image configuration: what runtimes know an image by.
    pub config: Digest,
    /// What it is if not a container image, for example a Helm chart.
    pub artifact: Option<ArtifactType>,
}

/// An image index or Docker manifest list: its entries that lead to images, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    pub(crate) entries: Vec<Entry>,
}

/// An entry of an [`Index`].
///
/// One with a platform is an image, whatever its `artifactType` says: runtimes read the platform alone. One without is
/// an image unless its `artifactType`, or the manifest behind it, says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The digest of the image manifest or nested index.
    pub digest: Digest,
    /// Whether it is an index again, which has to be read for its images.
    pub nested: bool,
    /// What the image is for. Without one it is for platforms that no other entry is for.
    pub platform: Option<Platform>,
}

/// A body that cannot be read as a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is of a type that holds neither an image nor an index.
    #[error("cannot read a manifest of type {found}: it is neither an image nor an index")]
    MediaType {
        /// The media type.
        found: Found,
    },
    /// It is of Docker's first format, which has no digest of an image configuration.
    #[error("cannot read a manifest of Docker schema 1: push the image again with a current tool")]
    Schema1,
    /// It does not have the shape that its type asks for.
    #[error("cannot read a manifest as JSON of its media type")]
    Malformed(#[from] serde_json::Error),
    /// It could be taken for an image and for an index.
    ///
    /// See <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>.
    #[error("cannot read a manifest that is both an image and an index")]
    Ambiguous,
    /// It is an index of more entries than are sensible.
    #[error("cannot read an index of {found} entries: at most {MAX_ENTRIES} are allowed")]
    TooManyEntries {
        /// The number of entries.
        found: usize,
    },
}

impl ManifestError {
    /// The word for it in [`Reason`].
    pub const fn reason(&self) -> Reason {
        match self {
            Self::MediaType { .. } | Self::Malformed(_) | Self::Ambiguous => {
                Reason::UnsupportedMediaType
            }
            Self::Schema1 => Reason::Schema1,
            Self::TooManyEntries { .. } => Reason::ManifestTooLarge,
        }
    }
}

impl Manifest {
    /// Reads a manifest or index, OCI or Docker.
    ///
    /// `media_type` is that of the answer's `Content-Type`, with or without parameters.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] for everything else, hostile bodies included.
    pub fn parse(media_type: &str, body: &[u8]) -> Result<Self, ManifestError> {
        let kind = Kind::of(media_type).ok_or_else(|| match essence(media_type) {
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws" => ManifestError::Schema1,
            other => ManifestError::MediaType {
                found: Found::new(other),
            },
        })?;
        let document: Document = serde_json::from_slice(body)?;
        let other_kind = match kind {
            Kind::Index => document.config.is_some() || document.layers.is_some(),
            Kind::Image => document.manifests.is_some(),
        };
        if other_kind || document.says_another(kind) {
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

    /// The platforms that it offers images for, in order. Images without one are not among them.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.runnable().filter_map(|entry| entry.platform.as_ref())
    }

    /// The entries of the images that count, nested indexes left aside.
    ///
    /// For each platform it is the first image that matches, which is the one that runtimes take. If those that match
    /// are for different variants or versions, it is all of them, as what a node prefers is not known. Where none
    /// matches, it is the first image without a platform, which containerd sorts last
    /// (<https://github.com/containerd/containerd/blob/v2.0.0/core/images/image.go>).
    pub fn select(&self, platforms: &Platforms) -> Vec<&Entry> {
        match platforms {
            Platforms::Every | Platforms::Unread => {
                let mut found = self.where_platform(|_| true);
                found.extend(self.without_platform());
                found
            }
            Platforms::Of(wanted) => wanted
                .iter()
                .flat_map(|platform| self.matches(platform))
                .collect(),
        }
    }

    /// The images for one platform.
    fn matches(&self, wanted: &Platform) -> Vec<&Entry> {
        let mut found = self.where_platform(|offered| wanted.takes(offered));
        if found.is_empty() {
            found = self.where_platform(|offered| wanted.falls_back_to(offered));
        }
        if found.is_empty() {
            return self.without_platform().into_iter().collect();
        }
        let mut pairs = found.iter().zip(found.iter().skip(1));
        if pairs.all(|(entry, next)| entry.platform == next.platform) {
            found.truncate(1);
        }
        found
    }

    fn where_platform(&self, takes: impl Fn(&Platform) -> bool) -> Vec<&Entry> {
        self.runnable()
            .filter(|entry| entry.platform.as_ref().is_some_and(&takes))
            .collect()
    }

    fn without_platform(&self) -> Option<&Entry> {
        self.runnable().find(|entry| entry.platform.is_none())
    }
}

/// The two things that a manifest may be.
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

/// A manifest or index as JSON. Go writes an empty list as `null`, which is why everything is an option.
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
    /// What `BuildKit` marks attestations with;
    /// <https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>.
    #[serde(rename = "vnd.docker.reference.type")]
    reference_type: Option<IgnoredAny>,
}

impl Document {
    /// Whether the body calls itself something else than what it was sent as.
    fn says_another(&self, kind: Kind) -> bool {
        self.media_type
            .as_deref()
            .is_some_and(|media_type| !media_type.is_empty() && Kind::of(media_type) != Some(kind))
    }

    fn into_image(self) -> Result<Image, ManifestError> {
        let config = self
            .config
            .ok_or_else(|| serde::de::Error::missing_field("config"))
            .map_err(ManifestError::Malformed)?;
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
        let found = descriptors.len();
        if found > MAX_ENTRIES {
            return Err(ManifestError::TooManyEntries { found });
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
    /// The entry for it, unless it cannot lead to an image that runs.
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
    /// The platform, unless it says nothing. Some tools write both words as empty texts.
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
