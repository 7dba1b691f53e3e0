//! Requests for one manifest, by HEAD or GET, or for one blob.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use oci_spec::image::Digest;

use super::{
    artifactory::{self, Layout},
    cache::{Key, ManifestCache},
    content::{self, Manifest},
    head_support::HeadSupport,
    resolved::{DigestSource, Resolved},
    state::{Descriptor, ManifestState, RepositoryHeads},
    url::{Object, ObjectUrl},
};
use crate::{
    auth::{Authenticator, Reply},
    credential::CredentialChain,
    error::{Error, repr::Repr},
    http::{Call, HostClient, HostConfigId, Request, Response, rate_limit::RateLimit},
    observer::Operation,
};

/// A request for one manifest or blob.
pub(crate) struct ManifestRequest<'a> {
    auth: &'a Authenticator,
    pub(crate) url: ObjectUrl,
    /// Artifactory's own URL for it.
    native: Option<ObjectUrl>,
    config: HostConfigId,
    pub(crate) host: Arc<HostClient>,
}

impl<'a> ManifestRequest<'a> {
    pub(crate) fn new(
        auth: &'a Authenticator,
        url: ObjectUrl,
        config: HostConfigId,
        artifactory_fallback: bool,
    ) -> Self {
        let host = auth.http.registry(&url.origin, config);
        let native = artifactory_fallback
            .then(|| artifactory::native(&url))
            .flatten();
        Self {
            auth,
            url,
            native,
            config,
            host,
        }
    }

    /// Resolves the digest, by HEAD if the registry supports it.
    pub(crate) async fn resolve(
        &self,
        credentials: &CredentialChain,
        cache: &ManifestCache,
    ) -> Result<Resolved, Error> {
        let mut call = self.call();
        let state = ManifestState::of(&self.host);
        let heads = self.heads();
        let skip = heads.support(HeadSupport::is_skipped);
        if !skip {
            let request = self.manifest_request(Operation::Head, None);
            let reply = self.send(&request, credentials, &mut call);
            let reply = reply.await?;
            if reply.operation == Operation::Get {
                return self.resolved_by_get(&reply, None, cache);
            }
            if let Some(resolved) = self.resolved_by_head(&reply)? {
                heads.support(HeadSupport::report_success);
                return Ok(resolved);
            }
        }
        let known = state.lock().descriptors.get(&self.descriptor()).cloned();
        let etag = known.as_ref().and_then(Descriptor::etag);
        let request = self.manifest_request(Operation::Get, etag);
        let reply = self.send(&request, credentials, &mut call);
        let resolved = self.resolved_by_get(&reply.await?, known, cache)?;
        if !skip {
            heads.report_useless();
        }
        Ok(resolved)
    }

    /// Fetches the manifest; `digest` is the one in the URL.
    pub(crate) async fn manifest(
        &self,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let mut call = self.call();
        let request = self.manifest_request(Operation::Get, None);
        let reply = self.send(&request, credentials, &mut call);
        let response = reply.await?.response;
        check_status(&response)?;
        let media_type = media_type(&response)?;
        content::verify(digest, &response.body).map_err(|repr| response.error(repr))?;
        Ok(Manifest {
            digest: digest.clone(),
            media_type,
            body: response.body,
        })
    }

    /// Fetches the blob of at most `max_bytes`; `digest` is the one in the URL.
    pub(crate) async fn blob(
        &self,
        digest: &Digest,
        max_bytes: usize,
        credentials: &CredentialChain,
    ) -> Result<Bytes, Error> {
        let mut call = self.call();
        let request = Request::new(Operation::Get, self.url.uri.clone(), max_bytes);
        let reply = self.send(&request, credentials, &mut call);
        let response = reply.await?.response;
        check_status(&response)?;
        content::verify(digest, &response.body).map_err(|repr| response.error(repr))?;
        Ok(response.body)
    }

    fn call(&self) -> Call<'_> {
        let left = self.auth.http.total_timeout;
        Call::new(&self.url.registry, self.config, left)
    }

    fn manifest_request(&self, operation: Operation, etag: Option<HeaderValue>) -> Request {
        Request {
            accept: Some(content::ACCEPT),
            if_none_match: etag,
            ..Request::new(operation, self.url.uri.clone(), content::MAX_BYTES)
        }
    }

    /// The key of the manifest's descriptor.
    fn descriptor(&self) -> String {
        format!("{}/{}", self.url.full_name, self.url.object.path())
    }

    fn heads(&self) -> RepositoryHeads<'_> {
        RepositoryHeads {
            host: &self.host,
            repository: &self.url.full_name,
        }
    }

    /// Sends the request to the URL of the known layout, else to both.
    async fn send(
        &self,
        request: &Request,
        credentials: &CredentialChain,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let send = async |url: &ObjectUrl, call: &mut Call<'_>| {
            let request = Request {
                uri: url.uri.clone(),
                ..request.clone()
            };
            let (resource, heads) = (url.resource(), self.heads());
            let sent = self
                .auth
                .send(&self.host, &resource, &heads, &request, credentials, call);
            sent.await
        };
        let Some(native) = &self.native else {
            return send(&self.url, call).await;
        };
        let at = |layout| match layout {
            Layout::Standard => &self.url,
            Layout::Native => native,
        };
        let repository = &self.url.full_name;
        let state = ManifestState::of(&self.host);
        let (mut layout, is_known) = state.lock().layouts.get(repository);
        let mut reply = send(at(layout), call).await?;
        if !is_known && self.is_missing_in_artifactory(&reply.response) {
            layout = layout.other();
            reply = send(at(layout), call).await?;
        }
        if reply.response.has_content() {
            state.lock().layouts.put(repository, layout);
        }
        Ok(reply)
    }

    fn is_missing_in_artifactory(&self, response: &Response) -> bool {
        response.status == StatusCode::NOT_FOUND
            && response.origin == self.host.origin
            && response.is_artifactory()
    }

    /// The result of a HEAD; none if the registry does not support it or the headers are incomplete.
    fn resolved_by_head(&self, reply: &Reply) -> Result<Option<Resolved>, Error> {
        let response = &reply.response;
        if matches!(
            response.status,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        ) {
            return Ok(None);
        }
        check_status(response)?;
        let Some(digest) = content::claimed_digest(&response.headers) else {
            return Ok(None);
        };
        let media_type = match content::media_type(&response.headers) {
            Ok(media_type) => media_type,
            Err(Repr::Schema1) => return Err(response.error(Repr::Schema1)),
            Err(_) if content::is_inconclusive(&response.headers) => return Ok(None),
            Err(repr) => return Err(response.error(repr)),
        };
        if let Object::Digest(expected) = &self.url.object
            && *expected != digest
        {
            // The registry may use another algorithm for the same content.
            if expected.algorithm() != digest.algorithm() {
                return Ok(None);
            }
            return Err(response.error(Repr::DigestMismatch {
                expected: expected.to_string(),
                found: digest.to_string(),
            }));
        }
        let descriptor = Descriptor {
            digest,
            media_type,
            size: content::length(&response.headers),
        };
        Ok(Some(resolved(reply, descriptor, DigestSource::Head)))
    }

    /// The result of a GET; of a 304, `known`.
    fn resolved_by_get(
        &self,
        reply: &Reply,
        known: Option<Descriptor>,
        cache: &ManifestCache,
    ) -> Result<Resolved, Error> {
        let response = &reply.response;
        let known = match known {
            Some(known) if response.status == StatusCode::NOT_MODIFIED => known,
            _ => self.read(response, cache)?,
        };
        let state = ManifestState::of(&self.host);
        let mut state = state.lock();
        state.descriptors.put(self.descriptor(), known.clone());
        Ok(resolved(reply, known, DigestSource::Get))
    }

    /// Reads a manifest and caches it for requests by its digest.
    fn read(&self, response: &Response, cache: &ManifestCache) -> Result<Descriptor, Error> {
        check_status(response)?;
        let media_type = media_type(response)?;
        let digest = match &self.url.object {
            Object::Digest(digest) | Object::Blob(digest) => {
                content::verify(digest, &response.body).map(|()| digest.clone())
            }
            Object::Tag(_) => content::computed_digest(&response.body),
        }
        .map_err(|repr| response.error(repr))?;
        let known = Descriptor {
            digest: digest.clone(),
            media_type: media_type.clone(),
            size: Some(response.body.len() as u64),
        };
        let body = response.body.clone();
        let key = Key::new(&self.url, &digest);
        cache.put(
            key,
            Manifest {
                digest,
                media_type,
                body,
            },
        );
        Ok(known)
    }
}

fn resolved(reply: &Reply, descriptor: Descriptor, source: DigestSource) -> Resolved {
    Resolved {
        digest: descriptor.digest,
        media_type: descriptor.media_type,
        size: descriptor.size,
        source,
        auth_method: reply.auth_method,
        identity: reply.identity.clone(),
        rate_limit: RateLimit::of(&reply.response.headers),
    }
}

fn check_status(response: &Response) -> Result<(), Error> {
    match response.status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => Err(response.error(Repr::NotFound)),
        status => Err(response.error(Repr::Status(status))),
    }
}

/// The media type of a manifest: of the headers or, where they are unspecific, of its `mediaType`.
fn media_type(response: &Response) -> Result<String, Error> {
    let repr = match content::media_type(&response.headers) {
        Ok(media_type) => return Ok(media_type),
        Err(repr) => repr,
    };
    let own = content::is_unspecific(&response.headers)
        .then(|| content::own_media_type(&response.body))
        .flatten();
    own.ok_or_else(|| response.error(repr))
}
