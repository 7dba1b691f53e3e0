//! Pulls: real requests to a real registry, in the order in which containerd makes them.
//!
//! A tag is resolved by `HEAD`; then come, by digest and only if the node does not have them, the index, the manifest
//! for the node's platform and the config (<https://github.com/containerd/containerd/tree/main/core/remotes/docker>).
//! Layers are not downloaded: how long that takes is said by the caller.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderName},
};
use oci_spec::{distribution::Reference, image::Digest};
use serde_json::Value;

use super::{
    images::{ImageFacts, ImageStore},
    locked, process,
};
use crate::environment::with_sources;
use crate::image::{
    BEHAVIOUR_LABEL, Behaviour, Client, DOWNLOAD_LABEL, MARKER_LABEL, MediaTypes, RequestError,
    Response, Session, digest_of,
};

/// The four manifest types, in containerd's order.
const MANIFEST_TYPES: &str = "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// Indexes in indexes in indexes: no further.
const DEPTH: usize = 4;

/// Why a container has no image, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PullFailure {
    /// The waiting reason.
    pub(super) reason: &'static str,
    /// The waiting message.
    pub(super) message: String,
}

impl PullFailure {
    pub(super) const ERR_IMAGE_PULL: &'static str = "ErrImagePull";

    /// A reference that is none.
    pub(super) fn invalid_name(image: &str) -> Self {
        Self {
            reason: "InvalidImageName",
            message: format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \
                 \"{image}\": invalid reference format"
            ),
        }
    }

    /// A policy that forbids the pull that would be needed.
    pub(super) fn never_pull(image: &str) -> Self {
        Self {
            reason: "ErrImageNeverPull",
            message: format!(
                "Container image \"{image}\" is not present with pull policy of Never"
            ),
        }
    }

    /// An image that is there, and a container that could not be made of it.
    pub(super) fn not_created(error: &process::Error) -> Self {
        Self {
            reason: "CreateContainerConfigError",
            message: with_sources(error),
        }
    }

    /// A registry that no node knows a way to.
    pub(super) fn unknown_host(image: &str, host: &str) -> Self {
        let detail = format!("failed to do request: dial tcp: lookup {host}: no such host");
        Self::unresolved(image, "Unknown", &detail)
    }

    /// A pull that failed.
    pub(super) fn failed(image: &str, error: &PullError) -> Self {
        let (code, detail) = match error {
            PullError::NotFound => ("NotFound", format!("{image}: not found")),
            PullError::NoPlatform => (
                "NotFound",
                "no match for platform in manifest: not found".to_owned(),
            ),
            PullError::Refused(status) => (
                "Unknown",
                format!("unexpected status from HEAD request: {status}"),
            ),
            PullError::Request(RequestError::Transport { source, .. }) => (
                "Unknown",
                format!("failed to do request: {}", chain(source.as_ref())),
            ),
            PullError::Request(error) => ("Unknown", chain(error)),
            PullError::Content(digest) => (
                "FailedPrecondition",
                format!("unexpected commit digest, expected {digest}: failed precondition"),
            ),
            PullError::Answer => ("Unknown", "the registry's answer makes no sense".to_owned()),
        };
        Self::unresolved(image, code, &detail)
    }

    fn unresolved(image: &str, code: &str, detail: &str) -> Self {
        Self {
            reason: Self::ERR_IMAGE_PULL,
            message: format!(
                "rpc error: code = {code} desc = failed to pull and unpack image \"{image}\": \
                 failed to resolve reference \"{image}\": {detail}"
            ),
        }
    }
}

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    /// No such repository, tag or digest.
    #[error("the registry has no such manifest")]
    NotFound,
    /// The index has nothing for this node.
    #[error("the index has no image for the platform of the node")]
    NoPlatform,
    /// Any other answer that is not a manifest.
    #[error("the registry answered with {0}")]
    Refused(StatusCode),
    /// No answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Content that is not what its digest says.
    #[error("the registry sent other content than {0}")]
    Content(Digest),
    /// A manifest, index or header that cannot be read.
    #[error("the registry's answer makes no sense")]
    Answer,
}

/// What the tag resolved to, and the image that this node runs of it.
#[derive(Debug)]
pub(super) struct Pulled {
    pub(super) target: Digest,
    /// The manifest of the image: the target itself, or one that the index lists.
    pub(super) manifest: Digest,
    pub(super) facts: ImageFacts,
}

/// The operating system and architecture of a node, in the words of Go's `GOOS` and `GOARCH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// For example `linux`.
    pub os: String,
    /// For example `amd64`.
    pub architecture: String,
}

/// One pull by one node.
pub(super) struct Pull<'a> {
    session: Session<'a>,
    repository: &'a str,
    store: &'a Mutex<ImageStore>,
    platform: &'a Platform,
}

/// Resolves a reference and reads what a container needs to know of the image. Nothing is added to the store's names.
pub(super) async fn pull(
    client: &Client,
    reference: &Reference,
    store: &Mutex<ImageStore>,
    platform: &Platform,
) -> Result<Pulled, PullError> {
    let mut pull = Pull {
        session: client.session(),
        repository: reference.repository(),
        store,
        platform,
    };
    let named = reference
        .digest()
        .or_else(|| reference.tag())
        .unwrap_or("latest");
    let (target, media_type) = pull.resolve(named).await?;
    let (manifest, document) = pull.image_manifest(&target, &media_type).await?;
    let facts = pull.facts(&document).await?;
    Ok(Pulled {
        target,
        manifest,
        facts,
    })
}

impl Pull<'_> {
    /// The digest and media type behind a tag or digest.
    async fn resolve(&mut self, named: &str) -> Result<(Digest, String), PullError> {
        let target = format!("/v2/{}/manifests/{named}", self.repository);
        let response = self.answer(&Method::HEAD, &target).await?;
        let header = |name: &HeaderName| response.headers.get(name)?.to_str().ok();
        let digest = header(&HeaderName::from_static("docker-content-digest"))
            .and_then(|digest| digest.parse().ok())
            .ok_or(PullError::Answer)?;
        let media_type = header(&CONTENT_TYPE).ok_or(PullError::Answer)?;
        Ok((digest, media_type.to_owned()))
    }

    /// The manifest of the image for this node: of the first entry that matches its platform where there is a choice.
    async fn image_manifest(
        &mut self,
        digest: &Digest,
        media_type: &str,
    ) -> Result<(Digest, Value), PullError> {
        let mut next = vec![(digest.clone(), media_type.to_owned(), 0)];
        while let Some((digest, media_type, depth)) = next.pop() {
            let document = self.document("manifests", &digest).await?;
            if !is_index(&media_type) {
                return Ok((digest, document));
            }
            let entries = document.get("manifests").and_then(Value::as_array);
            let entries = entries.ok_or(PullError::Answer)?;
            let candidates = entries.iter().filter(|_| depth < DEPTH).rev();
            let candidates = candidates.filter(|entry| runs_on(entry, self.platform));
            for (digest, media_type) in candidates.filter_map(identity) {
                next.push((digest, media_type, depth + 1));
            }
        }
        Err(PullError::NoPlatform)
    }

    /// What the config behind a manifest says.
    async fn facts(&mut self, manifest: &Value) -> Result<ImageFacts, PullError> {
        let (config, _) = manifest
            .get("config")
            .and_then(identity)
            .ok_or(PullError::Answer)?;
        let document = self.document("blobs", &config).await?;
        let label = |name: &str| document.pointer("/config/Labels")?.get(name)?.as_str();
        let milliseconds = label(DOWNLOAD_LABEL).and_then(|text| text.parse().ok());
        Ok(ImageFacts {
            marker: label(MARKER_LABEL).unwrap_or_default().to_owned(),
            behaviour: Behaviour::from_label(label(BEHAVIOUR_LABEL).unwrap_or_default()),
            download: Duration::from_millis(milliseconds.unwrap_or(0)),
            config,
        })
    }

    /// Content by digest: the node's own, or the registry's after a check.
    async fn document(&mut self, kind: &str, digest: &Digest) -> Result<Value, PullError> {
        let kept = locked(self.store).content(digest);
        let body = match kept {
            Some(body) => body,
            None => self.fetch(kind, digest).await?,
        };
        serde_json::from_slice(&body).map_err(|_| PullError::Answer)
    }

    async fn fetch(&mut self, kind: &str, digest: &Digest) -> Result<Bytes, PullError> {
        let target = format!("/v2/{}/{kind}/{digest}", self.repository);
        let body = self.answer(&Method::GET, &target).await?.body;
        if digest_of(&body) != *digest {
            return Err(PullError::Content(digest.clone()));
        }
        locked(self.store).keep_content(digest.clone(), body.clone());
        Ok(body)
    }

    async fn answer(&mut self, method: &Method, target: &str) -> Result<Response, PullError> {
        let headers = [(ACCEPT, MANIFEST_TYPES)];
        let response = self
            .session
            .request(method, target, &headers, Bytes::new())
            .await?;
        match response.status {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(PullError::NotFound),
            status => Err(PullError::Refused(status)),
        }
    }
}

/// The digest and media type of a descriptor.
fn identity(descriptor: &Value) -> Option<(Digest, String)> {
    let digest = descriptor.get("digest")?.as_str()?.parse().ok()?;
    let media_type = descriptor.get("mediaType")?.as_str()?;
    Some((digest, media_type.to_owned()))
}

fn is_index(media_type: &str) -> bool {
    [MediaTypes::Oci, MediaTypes::Docker]
        .iter()
        .any(|family| family.index() == media_type)
}

/// Whether an entry of an index is for this platform; one that names none is for every platform.
fn runs_on(entry: &Value, platform: &Platform) -> bool {
    let Some(wanted) = entry.get("platform") else {
        return true;
    };
    let is = |member: &str, value: &str| wanted.get(member).and_then(Value::as_str) == Some(value);
    is("os", &platform.os) && is("architecture", &platform.architecture)
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
