//! Pulls: real requests to a real registry, in the order in which containerd makes them.
//!
//! A tag is resolved by `HEAD`; then come, by digest and only if the node does not have them, the index, the manifest
//! for the node's platform and the config (<https://github.com/containerd/containerd/tree/main/core/remotes/docker>).
//! Layers are not downloaded: the caller waits for the duration that this would take.

use std::time::Duration;

use bytes::Bytes;
use http::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderName},
};
use oci_spec::{distribution::Reference, image::Digest};
use parking_lot::Mutex;
use serde_json::Value;

use super::{
    failure::PullError,
    platform::Platform,
    store::{ImageFacts, ImageStore},
};
use crate::image::{
    BEHAVIOUR_LABEL, Behaviour, Client, DOWNLOAD_LABEL, MARKER_LABEL, MediaTypes, Response,
    Session, digest_of,
};

/// The four manifest types, in containerd's order.
const MANIFEST_TYPES: &str = "application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

/// Indexes in indexes in indexes: no further.
const DEPTH: usize = 4;

/// What the tag resolved to, and the image that this node runs of it.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) target: Digest,
    /// The manifest of the image: the target itself, or one that the index lists.
    pub(crate) manifest: Digest,
    pub(crate) facts: ImageFacts,
}

/// One pull by one node.
pub(crate) struct Pull<'a> {
    session: Session<'a>,
    repository: &'a str,
    store: &'a Mutex<ImageStore>,
    platform: &'a Platform,
}

/// Resolves a reference and reads the facts about the image. The names in the store do not change.
pub(crate) async fn pull(
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
            let candidates = entries.iter().filter(|_| depth < DEPTH);
            let candidates = candidates.filter(|entry| runs_on(entry, self.platform));
            let mut candidates: Vec<&Value> = candidates.collect();
            // containerd sorts those without a platform last
            candidates.sort_by_key(|entry| entry.get("platform").is_none());
            for (digest, media_type) in candidates.into_iter().rev().filter_map(identity) {
                next.push((digest, media_type, depth + 1));
            }
        }
        Err(PullError::NoPlatform)
    }

    /// The facts in the config of a manifest.
    async fn facts(&mut self, manifest: &Value) -> Result<ImageFacts, PullError> {
        let (config, media_type) = manifest
            .get("config")
            .and_then(identity)
            .ok_or(PullError::Answer)?;
        let families = [MediaTypes::Oci, MediaTypes::Docker];
        if !families.map(MediaTypes::config).contains(&&*media_type) {
            return Err(PullError::NoImage(media_type));
        }
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
        let kept = self.store.lock().content(digest);
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
        self.store.lock().keep_content(digest.clone(), body.clone());
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
