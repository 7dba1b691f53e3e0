//! Images made of nothing: content whose digests are known before it is pushed, built without a container engine.
//!
//! An [`Image`] is a config, one layer and a manifest; an [`ImageIndex`] lists images, and what `BuildKit` and other
//! tools put beside them. A [`Pusher`] uploads either with the requests of any registry client. The simulated nodes
//! ([`crate::node`]) read how an image behaves from labels in its config.

mod access;
mod artifact;
mod behaviour;
mod error;
mod index;
mod media_types;
mod push;
mod request;

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use oci_spec::image::Digest;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub use access::RegistryAccess;
pub use artifact::Artifact;
pub use behaviour::{BEHAVIOUR_LABEL, Behaviour};
pub use error::RequestError;
pub use index::ImageIndex;
pub use media_types::MediaTypes;
pub use push::Pusher;
pub(crate) use request::{Client, Response, Session};

/// The config label by which two images differ: what was given to [`Image::new`].
pub const MARKER_LABEL: &str = "testbed.marker";

/// The config label with the time in milliseconds that a simulated node needs to download the image.
pub const DOWNLOAD_LABEL: &str = "testbed.download-milliseconds";

/// An empty tar archive (two blocks of zeros), which is a valid layer.
const EMPTY_LAYER: &[u8] = &[0; 1024];

/// [`EMPTY_LAYER`] as one Zstandard frame: magic number, 1024 bytes of content, one last block that repeats a zero
/// (<https://www.rfc-editor.org/rfc/rfc8878>).
const EMPTY_LAYER_ZSTD: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x60, 0x00, 0x03, 0x03, 0x20, 0x00, 0x00,
];

/// The annotation with which containers/image marks a Zstandard variant in an index
/// (<https://github.com/containers/image/blob/main/internal/manifest/oci_index.go>).
const ZSTD_ANNOTATION: &str = "io.github.containers.compression.zstd";

/// The SHA-256 digest of some content.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "64 lower-case hexadecimal digits are a digest"
)]
pub fn digest_of(content: &[u8]) -> Digest {
    format!("sha256:{}", hex(digest(&SHA256, content).as_ref()))
        .parse()
        .expect("a SHA-256 digest")
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

/// One image for one platform: a config, one layer, a manifest.
///
/// Two images of the same platform have the same config digest if and only if their markers, behaviour and download
/// time are equal, whatever their manifests say besides. To a node they are one image then, also under the names of
/// several repositories; so a test that reads an `imageID` needs a marker of its own.
///
/// ```
/// use kube_autorollout_testbed::image::Image;
///
/// let image = Image::new("v1");
/// let twin = image.clone().zstd();
/// assert_eq!(image.config_digest(), twin.config_digest());
/// assert_ne!(image.digest(), twin.digest());
/// assert_ne!(image.config_digest(), Image::new("v2").config_digest());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<String, String>,
    os: String,
    architecture: String,
    variant: Option<String>,
    media_types: MediaTypes,
    zstd: bool,
}

impl Image {
    /// An image for `linux/amd64` with OCI media types whose content depends on `marker` alone.
    pub fn new(marker: impl Into<String>) -> Self {
        Self {
            labels: BTreeMap::from([(MARKER_LABEL, marker.into())]),
            annotations: BTreeMap::new(),
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            variant: None,
            media_types: MediaTypes::Oci,
            zstd: false,
        }
    }

    /// Built for another platform, in the words of Go's `GOOS` and `GOARCH`.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str) -> Self {
        os.clone_into(&mut self.os);
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// Built for a variant of its architecture, such as `v7` of `arm`.
    #[must_use]
    pub fn variant(mut self, variant: &str) -> Self {
        self.variant = Some(variant.to_owned());
        self
    }

    /// With Docker's media types instead of OCI's.
    #[must_use]
    pub const fn docker(mut self) -> Self {
        self.media_types = MediaTypes::Docker;
        self
    }

    /// With a Zstandard layer: the same config, another manifest.
    #[must_use]
    pub const fn zstd(mut self) -> Self {
        self.zstd = true;
        self
    }

    /// With an annotation in the manifest: the same config, another manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a version and a commit in its config, as `docker/metadata-action` labels images.
    #[must_use]
    pub fn released(mut self, version: &str, revision: &str) -> Self {
        let labels = [
            ("org.opencontainers.image.version", version),
            ("org.opencontainers.image.revision", revision),
        ];
        let labels = labels.map(|(key, value)| (key, value.to_owned()));
        self.labels.extend(labels);
        self
    }

    /// What its container does on a simulated node.
    #[must_use]
    pub fn behaviour(mut self, behaviour: Behaviour) -> Self {
        self.labels
            .insert(BEHAVIOUR_LABEL, behaviour.as_str().to_owned());
        self
    }

    /// How long a simulated node downloads it, in whole milliseconds.
    #[must_use]
    pub fn download(mut self, duration: Duration) -> Self {
        self.labels
            .insert(DOWNLOAD_LABEL, duration.as_millis().to_string());
        self
    }

    /// The config document.
    pub fn config(&self) -> Vec<u8> {
        let mut config = json!({
            "architecture": self.architecture,
            "os": self.os,
            "config": { "Labels": self.labels, "Entrypoint": ["/testbed"] },
            "rootfs": { "type": "layers", "diff_ids": [digest_of(EMPTY_LAYER)] },
        });
        insert_some(&mut config, "variant", self.variant.as_ref());
        config.to_string().into_bytes()
    }

    /// The digest of the config: to a container runtime, the identity of the image.
    pub fn config_digest(&self) -> Digest {
        digest_of(&self.config())
    }

    /// The manifest document.
    pub fn manifest(&self) -> Vec<u8> {
        let config = self.config();
        let layer = self.layer();
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.media_type(),
            "config": descriptor(self.media_types.config(), &config),
            "layers": [descriptor(self.media_types.layer(self.zstd), layer)],
        });
        let annotations = Some(&self.annotations).filter(|all| !all.is_empty());
        insert_some(&mut manifest, "annotations", annotations);
        manifest.to_string().into_bytes()
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        digest_of(&self.manifest())
    }

    /// The media type of the manifest.
    pub const fn media_type(&self) -> &'static str {
        self.media_types.manifest()
    }

    /// A label of the config, or nothing.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    const fn layer(&self) -> &'static [u8] {
        if self.zstd {
            EMPTY_LAYER_ZSTD
        } else {
            EMPTY_LAYER
        }
    }

    /// The media type of the config.
    const fn config_type(&self) -> &'static str {
        self.media_types.config()
    }

    /// Adds what an index lists of this image to its descriptor.
    fn describe(&self, descriptor: &mut Value) {
        let mut platform = json!({ "architecture": self.architecture, "os": self.os });
        insert_some(&mut platform, "variant", self.variant.as_ref());
        insert_some(descriptor, "platform", Some(&platform));
        let annotations = self.zstd.then(|| json!({ ZSTD_ANNOTATION: "true" }));
        insert_some(descriptor, "annotations", annotations.as_ref());
    }
}

/// A manifest or an index, as it is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The `Content-Type` of the upload.
    pub media_type: &'static str,
    /// The bytes that the digest is of.
    pub body: Vec<u8>,
}

/// Content that a [`Pusher`] can push.
pub trait Content {
    /// Configs and layers.
    fn blobs(&self) -> Vec<Vec<u8>>;

    /// The manifests that [`Content::root`] refers to, each after those that it refers to itself.
    fn children(&self) -> Vec<Document> {
        Vec::new()
    }

    /// The manifest or index that the tag is put on.
    fn root(&self) -> Document;

    /// The digest that the tag resolves to after a push.
    fn root_digest(&self) -> Digest {
        digest_of(&self.root().body)
    }
}

impl Content for Image {
    fn blobs(&self) -> Vec<Vec<u8>> {
        vec![self.config(), self.layer().to_vec()]
    }

    fn root(&self) -> Document {
        Document {
            media_type: self.media_type(),
            body: self.manifest(),
        }
    }
}

/// A content descriptor (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md>).
fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest_of(content), "size": content.len() })
}

/// Adds a member to a JSON object when there is a value.
fn insert_some<T: serde::Serialize>(object: &mut Value, key: &str, value: Option<&T>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(key.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests;
