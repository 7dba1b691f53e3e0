//! One call of the client: a manifest asked about by HEAD and by GET.

use std::{future::Future, sync::Arc};

use http::StatusCode;
use oci_spec::image::Digest;
use tokio::time::timeout;

use crate::{
    CredentialChain, DigestSource, Manifest, RateLimit, Resolved, artifactory,
    client::Inner,
    error::Error,
    exchange::{Answer, Call},
    fault::Fault,
    head_support::counts_as_pull,
    host::Host,
    manifest,
    manifest_cache::Key,
    memory::Known,
    observer::Operation,
    session::Reply,
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
        let host = inner.transport.registry(&target.origin, rule);
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
    pub(crate) async fn resolve(&self, credentials: &CredentialChain) -> Result<Resolved, Error> {
        let mut call = self.call();
        let repository = &self.target.repository;
        let skip = self.host.memory().heads.is_skipped(repository);
        if !skip {
            let reply = self.ask(Operation::Head, None, credentials, &mut call);
            let reply = reply.await?;
            if reply.operation == Operation::Get {
                return self.resolved_by_get(&reply, None);
            }
            if let Some(resolved) = self.told_by_head(&reply)? {
                self.host.memory().heads.works(repository);
                return Ok(resolved);
            }
        }
        let known = self.host.memory().known(self.target.uri.path());
        let unless = known.as_ref().and_then(Known::etag);
        let reply = self.ask(Operation::Get, unless.as_ref(), credentials, &mut call);
        let resolved = self.resolved_by_get(&reply.await?, known)?;
        if !skip {
            let may_skip = !counts_as_pull(&self.host.origin);
            self.host.memory().heads.is_useless(repository, may_skip);
        }
        Ok(resolved)
    }

    /// The manifest with a digest, which is the target's own.
    pub(crate) async fn manifest(
        &self,
        digest: &Digest,
        credentials: &CredentialChain,
    ) -> Result<Manifest, Error> {
        let mut call = self.call();
        let reply = self.ask(Operation::Get, None, credentials, &mut call);
        let answer = reply.await?.answer;
        found(&answer)?;
        let media_type = media_type(&answer)?;
        manifest::verify(digest, &answer.body).map_err(|fault| at(&answer, fault))?;
        Ok(Manifest {
            digest: digest.clone(),
            media_type,
            body: answer.body,
        })
    }

    /// Limits a call, with all that it waits for.
    pub(crate) async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let transport = &self.inner.transport;
        let after = transport
            .total_timeout
            .saturating_add(transport.queue_timeout);
        let ended = timeout(after, call).await;
        ended.unwrap_or_else(|_| Err(self.error(Fault::Timeout { after })))
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
        let left = self.inner.transport.total_timeout;
        Call::new(&self.target.registry, self.rule, left)
    }

    /// What HEAD tells; nothing if the registry does not answer it, or not with all that is needed.
    fn told_by_head(&self, reply: &Reply) -> Result<Option<Resolved>, Error> {
        let answer = &reply.answer;
        if matches!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED
        ) {
            return Ok(None);
        }
        found(answer)?;
        let Some(digest) = manifest::claimed_digest(&answer.headers) else {
            return Ok(None);
        };
        let media_type = match manifest::media_type(&answer.headers) {
            Ok(media_type) => media_type,
            Err(Fault::Schema1) => return Err(at(answer, Fault::Schema1)),
            Err(_) if manifest::tells_nothing(&answer.headers) => return Ok(None),
            Err(fault) => return Err(at(answer, fault)),
        };
        if let Object::Digest(expected) = &self.target.object
            && *expected != digest
        {
            // The registry may call the same bytes by another algorithm.
            if expected.algorithm() != digest.algorithm() {
                return Ok(None);
            }
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
            source: DigestSource::Head,
            auth_method: reply.authentication,
            rate_limit: RateLimit::of(&answer.headers),
        }))
    }

    /// What GET tells; `known` is what the registry may say that it is the same as.
    fn resolved_by_get(&self, reply: &Reply, known: Option<Known>) -> Result<Resolved, Error> {
        let answer = &reply.answer;
        let known = match known {
            Some(known) if answer.status == StatusCode::NOT_MODIFIED => known,
            _ => self.read(answer)?,
        };
        let path = self.target.uri.path();
        self.host.memory().learn_known(path, known.clone());
        Ok(Resolved {
            digest: known.digest,
            media_type: known.media_type,
            size: Some(known.size),
            source: DigestSource::Get,
            auth_method: reply.authentication,
            rate_limit: RateLimit::of(&answer.headers),
        })
    }

    /// Takes a manifest from an answer, and keeps it for those who ask for it by digest.
    fn read(&self, answer: &Answer) -> Result<Known, Error> {
        found(answer)?;
        let media_type = media_type(answer)?;
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

/// The media type of a manifest, in its headers or, where they say nothing, in itself.
fn media_type(answer: &Answer) -> Result<String, Error> {
    let fault = match manifest::media_type(&answer.headers) {
        Ok(media_type) => return Ok(media_type),
        Err(fault) => fault,
    };
    let own = manifest::is_unspecific(&answer.headers)
        .then(|| manifest::own_media_type(&answer.body))
        .flatten();
    own.ok_or_else(|| at(answer, fault))
}
