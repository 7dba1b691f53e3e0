//! One call of the client: a manifest asked about with each credential in turn, by HEAD and by GET.

use std::{future::Future, sync::Arc};

use http::{HeaderValue, StatusCode};
use oci_spec::image::Digest;

use crate::{
    Authentication, Credential, Credentials, Manifest, RateLimit, Resolved, Via,
    artifactory::{self, Layout},
    client::Inner,
    error::{Error, ErrorKind},
    exchange::{Answer, Call},
    fault::Fault,
    host::Host,
    manifest,
    manifest_cache::Key,
    memory::Known,
    observer::Operation,
    session::Session,
    target::{Object, Target},
    transport::RuleIndex,
};

/// Credentials that are tried for one question; more would look like guessing.
const MAX_CREDENTIALS: usize = 5;

/// A question about one manifest.
pub(crate) struct Inquiry<'a> {
    inner: &'a Inner,
    target: Target,
    /// Where it may be instead, with Artifactory.
    native: Option<Target>,
    rule: RuleIndex,
    host: Arc<Host>,
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

    /// Asks where the host has its manifests, as far as is known, else at both places.
    async fn ask(
        &self,
        operation: Operation,
        unless: Option<HeaderValue>,
        credentials: &Credentials,
        call: &mut Call<'_>,
    ) -> Result<(Answer, Authentication), Error> {
        let Some(native) = &self.native else {
            let target = &self.target;
            return self
                .ask_at(target, operation, unless, credentials, call)
                .await;
        };
        let at = |layout| match layout {
            Layout::Standard => &self.target,
            Layout::Native => native,
        };
        let (mut layout, sure) = self.host.memory().layout();
        let mut asked = self
            .ask_at(at(layout), operation, unless.clone(), credentials, call)
            .await?;
        if !sure && self.may_be_elsewhere(&asked.0) {
            layout = layout.other();
            asked = self
                .ask_at(at(layout), operation, unless, credentials, call)
                .await?;
        }
        if matches!(asked.0.status, StatusCode::OK | StatusCode::NOT_MODIFIED) {
            self.host.memory().learn_layout(layout);
        }
        Ok(asked)
    }

    /// Whether an Artifactory says that it has nothing here.
    fn may_be_elsewhere(&self, answer: &Answer) -> bool {
        answer.status == StatusCode::NOT_FOUND
            && answer.host.origin == self.host.origin
            && artifactory::is_artifactory(&answer.headers)
    }

    /// Asks with each credential until one is not refused.
    async fn ask_at(
        &self,
        target: &Target,
        operation: Operation,
        unless: Option<HeaderValue>,
        credentials: &Credentials,
        call: &mut Call<'_>,
    ) -> Result<(Answer, Authentication), Error> {
        if credentials.is_empty() {
            return self.ask_as(target, operation, unless, None, call).await;
        }
        let mut refusal: Option<Error> = None;
        for credential in credentials.iter().take(MAX_CREDENTIALS) {
            match self
                .ask_as(target, operation, unless.clone(), Some(credential), call)
                .await
            {
                Err(error) if is_refusal(&error) => {
                    // Of several refusals the registry's own word tells more than our silence.
                    if refusal.is_none() || error.kind() != ErrorKind::CredentialQuarantined {
                        refusal = Some(error);
                    }
                }
                other => return other,
            }
        }
        Err(refusal.unwrap_or_else(|| {
            self.error(Fault::Unauthorized {
                had_credentials: true,
            })
        }))
    }

    async fn ask_as(
        &self,
        target: &Target,
        operation: Operation,
        unless: Option<HeaderValue>,
        credential: Option<&Credential>,
        call: &mut Call<'_>,
    ) -> Result<(Answer, Authentication), Error> {
        if let Some(credential) = credential {
            let (registry, repository) = (&self.host.origin, &target.repository);
            self.inner
                .quarantine
                .check_repository(registry, repository, credential.fingerprint())
                .map_err(|fault| self.error(fault))?;
        }
        let session = Session {
            transport: &self.inner.transport,
            tokens: &self.inner.tokens,
            quarantine: &self.inner.quarantine,
            target,
            host: &self.host,
            credential,
        };
        let (answer, authentication) = session.ask(operation, unless, call).await?;
        if answer.status == StatusCode::FORBIDDEN {
            let had_credentials = authentication != Authentication::Anonymous;
            return Err(at(&answer, Fault::Denied { had_credentials }));
        }
        Ok((answer, authentication))
    }
}

/// An error of the host that answered.
fn at(answer: &Answer, fault: Fault) -> Error {
    Error::new(answer.host.origin.to_string(), fault)
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

/// Whether the next credential may do better.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::CredentialQuarantined
    )
}
