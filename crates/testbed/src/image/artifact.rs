//! What registries keep beside images: a manifest like an image's, whose config is of another type.

use oci_spec::image::Digest;
use serde_json::json;

use super::{Content, Document, MediaTypes, descriptor, digest_of};

/// A manifest that is not a container image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    config_type: &'static str,
    layer_type: &'static str,
    declared_type: Option<&'static str>,
    content: String,
}

impl Artifact {
    /// A chart as Helm up to 3.19 pushes it: its config alone says what it is
    /// (<https://github.com/helm/helm/blob/v3.19.0/pkg/registry/constants.go>).
    pub fn helm_chart(version: &str) -> Self {
        Self {
            config_type: "application/vnd.cncf.helm.config.v1+json",
            layer_type: "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            declared_type: None,
            content: version.to_owned(),
        }
    }

    /// A bill of materials as ORAS attaches it: an empty config and an `artifactType`.
    pub fn sbom(content: &str) -> Self {
        Self {
            config_type: "application/vnd.oci.empty.v1+json",
            layer_type: "application/spdx+json",
            declared_type: Some("application/spdx+json"),
            content: content.to_owned(),
        }
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Digest {
        digest_of(&self.manifest())
    }

    /// The manifest document.
    pub fn manifest(&self) -> Vec<u8> {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaTypes::Oci.manifest(),
            "config": descriptor(self.config_type, &self.config()),
            "layers": [descriptor(self.layer_type, self.content.as_bytes())],
        });
        super::insert_some(&mut manifest, "artifactType", self.declared_type.as_ref());
        manifest.to_string().into_bytes()
    }

    fn config(&self) -> Vec<u8> {
        if self.declared_type.is_some() {
            return b"{}".to_vec();
        }
        let chart = json!({ "apiVersion": "v2", "name": "app", "version": self.content });
        chart.to_string().into_bytes()
    }
}

impl Content for Artifact {
    fn blobs(&self) -> Vec<Vec<u8>> {
        vec![self.config(), self.content.clone().into_bytes()]
    }

    fn root(&self) -> Document {
        Document {
            media_type: MediaTypes::Oci.manifest(),
            body: self.manifest(),
        }
    }
}
