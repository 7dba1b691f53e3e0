//! One call of the client: a manifest asked about by HEAD and by GET.

use std::{future::Future, sync::Arc};

use http::StatusCode;
use oci_spec::image::Digest;

use crate::{
    Authentication, Credentials, Manifest, RateLimit, Resolved, Via, artifactory,
    client::Inner,
    error::Error,
    exchange::{Answer, Call},
    fault::Fault,
    host::Host,
    manifest,
    manifest_cache::Key,
    memory::Known,
    observer::Operation,
    target::{Object, Target},
    transport::RuleIndex,
};

/// A question about one manifest.
pub(crate) struct Inquiry<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) target: Target,
    /// Where it may be instead, with Artifactory.
    pub(crate) native: Option<Target>,
    rule: RuleIndex,
    pub(crate) host: Arc<Host>,
}

impl<'a> Inquiry<'a> {
    pub(crate) fn new(inner: &'a Inner, target: Target, rule: RuleIndex) -> Self {
        let host = inner.transport.host(&target.origin, rule);
        let native = inner
            .artifactory_fallback
            .then(|| artifactory::native(&target))
            .flatten();
        Self {
            inner,
            target,
            native,
            rule,
            host,
        }
    }

    /// The digest behind the target, by HEAD if the registry's HEAD tells it.
    pub(crate) async fn resolve(&self, credentials: &Credentials) -> Result<Resolved, Error> {
        let mut call = self.call();
        if !self.host.memory().skips_head() {
            let (answer, authentication) = self
                .ask(Operation::Head, None, credentials, &mut call)
                .await?;
            if let Some(resolved) = self.told_by_head(&answer, authentication)? {
                return Ok(resolved);
            }
        }
        self.resolve_by_get(credentials, &mut call).await
    }

    /// The manifest with a digest, which is the target's own.
    pub(crate) async fn manifest(
        &self,
        digest: &Digest,
        credentials: &Credentials,
    ) -> Result<Manifest, Error> {
        let mut call = self.call();
        let (answer, _) = self
            .ask(Operation::Get, None, credentials, &mut call)
            .await?;
        let media_type = accept(&answer)?;
        manifest::verify(digest, &answer.body).map_err(|fault| at(&answer, fault))?;
        Ok(Manifest {
            digest: digest.clone(),
            media_type,
            body: answer.body,
        })
    }

    /// Waits for somebody else who asks the same host.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Error> {
        self.host
            .queue(wait)
            .await
            .map_err(|fault| self.error(fault))
    }

    pub(crate) fn error(&self, fault: Fault) -> Error {
        Error::new(self.host.origin.to_string(), fault)
    }

    fn call(&self) -> Call<'_> {
        Call {
            registry: &self.target.registry,
            rule: self.rule,
            left: self.inner.transport.total_timeout,
        }
    }

    /// What HEAD tells; nothing if the registry does not answer it, or without a usable digest.
    fn told_by_head(
        &self,
        answer: &Answer,
        authentication: Authentication,
    ) -> Result<Option<Resolved>, Error> {
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(None);
        }
        found(answer)?;
        let Some(digest) = manifest::claimed_digest(&answer.headers) else {
            return Ok(None);
        };
        let media_type = accept(answer)?;
        if let Object::Digest(expected) = &self.target.object
            && *expected != digest
        {
            return Err(at(
                answer,
                Fault::DigestMismatch {
                    expected: expected.to_string(),
                    found: digest.to_string(),
                },
            ));
        }
        Ok(Some(Resolved {
            digest,
            media_type,
            size: manifest::length(&answer.headers),
            via: Via::Head,
            authentication,
            rate_limit: RateLimit::of(&answer.headers),
        }))
    }

    /// Reads the manifest, unless the registry says that it is the one read before.
    async fn resolve_by_get(
        &self,
        credentials: &Credentials,
        call: &mut Call<'_>,
    ) -> Result<Resolved, Error> {
        let path = self.target.uri.path();
        let known = self.host.memory().known(path);
        let unless = known.as_ref().and_then(Known::etag);
        let (answer, authentication) = self.ask(Operation::Get, unless, credentials, call).await?;
        let known = match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => known,
            _ => self.read(&answer)?,
        };
        self.host.memory().skip_head(path, known.clone());
        Ok(Resolved {
            digest: known.digest,
            media_type: known.media_type,
            size: Some(known.size),
            via: Via::Get,
            authentication,
            rate_limit: RateLimit::of(&answer.headers),
        })
    }

    /// Takes a manifest from an answer, and keeps it for those who ask for it by digest.
    fn read(&self, answer: &Answer) -> Result<Known, Error> {
        let media_type = accept(answer)?;
        let digest = match &self.target.object {
            Object::Digest(digest) => {
                manifest::verify(digest, &answer.body).map(|()| digest.clone())
            }
            Object::Tag(_) => manifest::computed_digest(&answer.body),
        }
        .map_err(|fault| at(answer, fault))?;
        let known = Known {
            digest: digest.clone(),
            media_type: media_type.clone(),
            size: answer.body.len() as u64,
        };
        let body = answer.body.clone();
        let key = Key::new(&self.target, &digest);
        self.inner.manifests.put(
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

/// An error of the host that answered.
pub(crate) fn at(answer: &Answer, fault: Fault) -> Error {
    Error::answered(answer, fault)
}

/// Whether an answer has what was asked for.
fn found(answer: &Answer) -> Result<(), Error> {
    match answer.status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => Err(at(answer, Fault::NotFound)),
        status => Err(at(answer, Fault::Status(status))),
    }
}

/// The media type of an answer that is a manifest.
fn accept(answer: &Answer) -> Result<String, Error> {
    found(answer)?;
    manifest::media_type(&answer.headers).map_err(|fault| at(answer, fault))
}
