//! Indexes: several images, and what tools list beside them.

use std::collections::BTreeMap;

use oci_spec::image::Digest;
use serde_json::{Value, json};

use super::{Artifact, Content, Document, Image, MediaTypes, descriptor, digest_of, insert_some};

/// The config of an attestation manifest, which no platform runs.
const ATTESTATION_CONFIG: &[u8] = br#"{"architecture":"unknown","os":"unknown"}"#;

/// The media type of what `BuildKit` attests.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A list of images for several platforms, as a registry keeps it.
///
/// ```
/// use kube_autorollout_testbed::image::{Image, ImageIndex};
///
/// let image = Image::new("v1");
/// let first = ImageIndex::of([image.clone()]).attested("build 1");
/// let again = ImageIndex::of([image]).attested("build 2");
/// assert_ne!(first.digest(), again.digest()); // what every cached build does to a tag
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageIndex {
    entries: Vec<Entry>,
    annotations: BTreeMap<String, String>,
    media_types: MediaTypes,
    artifact_types: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Image(Image),
    Artifact(Artifact),
    Attestation(Attestation),
    Index(ImageIndex),
}

/// What `BuildKit` attests about an image: a manifest with one statement in place of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attestation {
    /// The image.
    subject: Digest,
    statement: Vec<u8>,
}

impl ImageIndex {
    /// An index of these images, in this order, with OCI media types.
    pub fn of(images: impl IntoIterator<Item = Image>) -> Self {
        Self {
            entries: images.into_iter().map(Entry::Image).collect(),
            ..Self::default()
        }
    }

    /// Also lists this image, after the others.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.entries.push(Entry::Image(image));
        self
    }

    /// Also lists the Zstandard variant of each image: the same platform and config, another manifest.
    #[must_use]
    pub fn with_zstd_twins(mut self) -> Self {
        let twins: Vec<_> = self.images().cloned().map(Image::zstd).collect();
        self.entries.extend(twins.into_iter().map(Entry::Image));
        self
    }

    /// Also lists an attestation for each image as `BuildKit` does; another `statement`, another index
    /// (<https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md>).
    #[must_use]
    pub fn attested(mut self, statement: &str) -> Self {
        let statement = json!({ "predicate": statement }).to_string().into_bytes();
        let attestations: Vec<_> = self
            .images()
            .map(|image| Attestation {
                subject: image.digest(),
                statement: statement.clone(),
            })
            .map(Entry::Attestation)
            .collect();
        self.entries.extend(attestations);
        self
    }

    /// Also lists an artifact, without a platform, as `oras manifest index update` does.
    #[must_use]
    pub fn artifact(mut self, artifact: Artifact) -> Self {
        self.entries.push(Entry::Artifact(artifact));
        self
    }

    /// With the type of its config as `artifactType` of each image, as go-containerregistry has written since 0.21.6
    /// (<https://github.com/google/go-containerregistry/blob/main/pkg/v1/partial/with.go>).
    #[must_use]
    pub const fn with_artifact_types(mut self) -> Self {
        self.artifact_types = true;
        self
    }

    /// Also lists another index, as the image specification allows.
    #[must_use]
    pub fn nested(mut self, index: Self) -> Self {
        self.entries.push(Entry::Index(index));
        self
    }

    /// With an annotation of the index itself.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A Docker manifest list; the images in it keep the media types they have.
    #[must_use]
    pub const fn docker(mut self) -> Self {
        self.media_types = MediaTypes::Docker;
        self
    }

    /// The index document.
    pub fn manifest(&self) -> Vec<u8> {
        let entries = self.entries.iter();
        let manifests: Vec<Value> = entries
            .map(|entry| entry.descriptor(self.artifact_types))
            .collect();
        let mut index = json!({
            "schemaVersion": 2,
            "mediaType": self.media_type(),
            "manifests": manifests,
        });
        let annotations = Some(&self.annotations).filter(|all| !all.is_empty());
        insert_some(&mut index, "annotations", annotations);
        index.to_string().into_bytes()
    }

    /// The digest of the index: what the tag resolves to.
    pub fn digest(&self) -> Digest {
        digest_of(&self.manifest())
    }

    /// The media type of the index.
    pub const fn media_type(&self) -> &'static str {
        self.media_types.index()
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Image(image) => Some(image),
            Entry::Attestation(_) | Entry::Artifact(_) | Entry::Index(_) => None,
        })
    }
}

impl Entry {
    fn content(&self) -> &dyn Content {
        match self {
            Self::Image(image) => image,
            Self::Artifact(artifact) => artifact,
            Self::Attestation(attestation) => attestation,
            Self::Index(index) => index,
        }
    }

    fn descriptor(&self, artifact_type: bool) -> Value {
        let root = self.content().root();
        let mut descriptor = descriptor(root.media_type, &root.body);
        match self {
            Self::Image(image) => {
                image.describe(&mut descriptor);
                let artifact_type = artifact_type.then(|| image.config_type());
                insert_some(&mut descriptor, "artifactType", artifact_type.as_ref());
            }
            Self::Attestation(Attestation { subject, .. }) => {
                let platform = json!({ "architecture": "unknown", "os": "unknown" });
                insert_some(&mut descriptor, "platform", Some(&platform));
                let annotations = json!({
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": subject,
                });
                insert_some(&mut descriptor, "annotations", Some(&annotations));
            }
            Self::Artifact(_) | Self::Index(_) => {}
        }
        descriptor
    }
}

impl Content for Attestation {
    fn blobs(&self) -> Vec<Vec<u8>> {
        vec![ATTESTATION_CONFIG.to_vec(), self.statement.clone()]
    }

    fn root(&self) -> Document {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaTypes::Oci.manifest(),
            "config": descriptor(MediaTypes::Oci.config(), ATTESTATION_CONFIG),
            "layers": [descriptor(IN_TOTO, &self.statement)],
        });
        Document {
            media_type: MediaTypes::Oci.manifest(),
            body: manifest.to_string().into_bytes(),
        }
    }
}

impl Content for ImageIndex {
    fn blobs(&self) -> Vec<Vec<u8>> {
        let entries = self.entries.iter();
        entries.flat_map(|entry| entry.content().blobs()).collect()
    }

    fn children(&self) -> Vec<Document> {
        let documents = |entry: &Entry| {
            let content = entry.content();
            let mut documents = content.children();
            documents.push(content.root());
            documents
        };
        self.entries.iter().flat_map(documents).collect()
    }

    fn root(&self) -> Document {
        Document {
            media_type: self.media_type(),
            body: self.manifest(),
        }
    }
}
