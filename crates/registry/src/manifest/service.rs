//! Resolves references, and reads manifests and blobs by digest.

use std::{collections::BTreeMap, future::Future, pin::Pin};

use bytes::Bytes;
use oci_spec::{distribution::Reference, image::Digest};
use tokio::time::{Instant, timeout};

use super::{
    cache::{Key, ManifestCache},
    content::Manifest,
    request::ManifestRequest,
    resolved::Resolved,
    url::{Object, ObjectUrl},
};
use crate::{
    auth::Authenticator,
    credential::CredentialChain,
    error::{Error, repr::Repr},
    http::HostConfigId,
};

/// A boxed call, so that the futures of callers stay small.
type BoxedCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Resolves references and reads manifests, which it caches.
pub(crate) struct ManifestService {
    auth: Authenticator,
    cache: ManifestCache,
    artifactory_fallback: bool,
}

impl ManifestService {
    pub(crate) fn new(auth: Authenticator, artifactory_fallback: bool) -> Self {
        Self {
            auth,
            cache: ManifestCache::new(),
            artifactory_fallback,
        }
    }

    /// The current digest of a reference.
    pub(crate) async fn resolve(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
    ) -> Result<Resolved, Error> {
        let (url, config) = self.url(reference, Object::of(reference))?;
        let request = self.request(url, config);
        let resolved = request.resolve(credentials, &self.cache);
        let resolved = self.with_timeout(&request, Box::pin(resolved)).await?;
        self.cache
            .put_named(Key::new(&request.url, &resolved.digest));
        Ok(resolved)
    }

    /// A manifest by its digest.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let (url, config) = self.url(reference, Ok(Object::Digest(digest.clone())))?;
        let key = Key::new(&url, digest);
        if let Some(manifest) = self.cache.get(&key) {
            return Ok(manifest);
        }
        let request = self.request(url, config);
        let fetched = self.fetch(&request, key, digest, credentials);
        self.with_timeout(&request, Box::pin(fetched)).await
    }

    /// A blob by its digest, which is not cached.
    pub(crate) async fn blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        max_bytes: usize,
        credentials: &CredentialChain,
    ) -> Result<Bytes, Error> {
        let (url, config) = self.url(reference, Ok(Object::Blob(digest.clone())))?;
        let request = self.request(url, config);
        let fetched = request.blob(digest, max_bytes, credentials);
        self.with_timeout(&request, Box::pin(fetched)).await
    }

    /// The number of quarantined credentials, by registry.
    pub(crate) fn quarantined(&self) -> BTreeMap<String, usize> {
        self.auth.quarantined()
    }

    /// Fetches a manifest once for all concurrent calls, which share a failure, too.
    async fn fetch(
        &self,
        request: &ManifestRequest<'_>,
        key: Key,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let chain = credentials.fingerprint();
        let started = Instant::now();
        let flight = self.cache.flights.join(key.clone());
        let locked = request.host.queue(flight.lock()).await;
        let mut last = locked.map_err(|repr| request.host.error(repr))?;
        if let Some(manifest) = self.cache.get(&key) {
            return Ok(manifest);
        }
        // Other credentials may get another response.
        match last.failure_since(started) {
            Some((with, error)) if *with == chain => return Err(error.clone()),
            _ => {}
        }
        if let Some(error) = self.cache.failure(&key, chain) {
            return Err(error);
        }
        match request.manifest(digest, credentials).await {
            Ok(manifest) => {
                self.cache.forget_failure(&key, chain);
                self.cache.put(key, manifest.clone());
                Ok(manifest)
            }
            Err(error) => {
                let error = self.cache.put_failure(key, chain, error);
                last.fail((chain, error.clone()));
                Err(error)
            }
        }
    }

    /// Limits a call, including the waits for other callers.
    async fn with_timeout<T>(
        &self,
        request: &ManifestRequest<'_>,
        call: BoxedCall<'_, T>,
    ) -> Result<T, Error> {
        let http = &self.auth.http;
        let after = http.total_timeout.saturating_add(http.queue_timeout);
        let result = timeout(after, call).await;
        result.unwrap_or_else(|_| Err(request.host.error(Repr::Timeout { after })))
    }

    fn request(&self, url: ObjectUrl, config: HostConfigId) -> ManifestRequest<'_> {
        ManifestRequest::new(&self.auth, url, config, self.artifactory_fallback)
    }

    fn url(
        &self,
        reference: &Reference,
        object: Result<Object, Repr>,
    ) -> Result<(ObjectUrl, HostConfigId), Error> {
        let http = &self.auth.http;
        let config = http.config_id(reference.registry());
        let plain_http = http.is_plain_http(config);
        let url = object.and_then(|object| ObjectUrl::new(reference, object, plain_http));
        let url = url.and_then(|url| match http.endpoint(config) {
            Some(endpoint) => url.at(endpoint),
            None => Ok(url),
        });
        let url = url.map_err(|repr| Error::new(reference.registry(), repr))?;
        Ok((url, config))
    }
}
