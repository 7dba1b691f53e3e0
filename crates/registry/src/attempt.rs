//! The places and the credentials with which one question is asked in turn.

use http::{HeaderValue, StatusCode};

use crate::{
    Credential, CredentialChain,
    artifactory::{self, Layout},
    error::{Error, ErrorKind},
    exchange::{Answer, Call},
    fault::Fault,
    inquiry::Inquiry,
    observer::Operation,
    session::{AuthMethod, Reply, Session},
    target::{Object, Target},
};

/// Credentials that are presented for one question; more would look like guessing.
const MAX_CREDENTIALS: usize = 5;

impl Inquiry<'_> {
    /// Asks where the host has its manifests, as far as is known, else at both places.
    pub(crate) async fn ask(
        &self,
        operation: Operation,
        unless: Option<&HeaderValue>,
        credentials: &CredentialChain,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
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
        let repository = &self.target.repository;
        let (mut layout, sure) = self.host.memory().layouts.get(repository);
        let mut reply = self
            .ask_at(at(layout), operation, unless, credentials, call)
            .await?;
        if !sure && self.may_be_elsewhere(&reply.answer) {
            layout = layout.other();
            reply = self
                .ask_at(at(layout), operation, unless, credentials, call)
                .await?;
        }
        if is_found(&reply.answer) {
            self.host.memory().layouts.learn(repository, layout);
        }
        Ok(reply)
    }

    /// Whether an Artifactory says that it has nothing here.
    fn may_be_elsewhere(&self, answer: &Answer) -> bool {
        answer.status == StatusCode::NOT_FOUND
            && answer.host.origin == self.host.origin
            && artifactory::is_artifactory(&answer.headers)
    }

    /// Asks with each credential until one is let in and finds what is asked for. Where none is, not to find it says more
    /// than a refusal.
    async fn ask_at(
        &self,
        target: &Target,
        operation: Operation,
        unless: Option<&HeaderValue>,
        credentials: &CredentialChain,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        let session = Session {
            transport: &self.inner.transport,
            tokens: &self.inner.tokens,
            client_id: &self.inner.client_id,
            quarantine: &self.inner.quarantine,
            target,
            host: &self.host,
            credential: None,
            operation,
            unless,
        };
        if credentials.is_empty() {
            return session.ask(call).await;
        }
        let mut missing: Option<Reply> = None;
        let mut refusals: Vec<Error> = Vec::new();
        let mut presented = 0;
        for credential in self.in_order(credentials) {
            if presented == MAX_CREDENTIALS {
                break;
            }
            let session = Session {
                credential: Some(credential),
                ..session
            };
            match self.ask_as(&session, call).await {
                Ok(reply) if reply.answer.status == StatusCode::NOT_FOUND => {
                    let same_for_all =
                        reply.authentication == AuthMethod::Anonymous || self.is_let_in(&session);
                    missing = Some(reply);
                    if same_for_all {
                        break;
                    }
                }
                Ok(reply) => {
                    if is_found(&reply.answer) {
                        self.prefer(credentials, credential);
                    }
                    return Ok(reply);
                }
                Err(error) if is_refusal(&error) => {
                    // One that is not presented costs nothing.
                    let cost = error.kind() != ErrorKind::CredentialQuarantined;
                    presented += usize::from(cost);
                    refusals.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            presented += 1;
        }
        missing.ok_or_else(|| self.refusal(refusals))
    }

    async fn ask_as(&self, session: &Session<'_>, call: &mut Call<'_>) -> Result<Reply, Error> {
        if let Some(credential) = session.fingerprint() {
            let (registry, repository) = (&self.host.origin, &session.target.repository);
            self.inner
                .quarantine
                .check_repository(registry, repository, credential)
                .map_err(|fault| self.error(fault))?;
        }
        session.ask(call).await
    }

    /// The credentials in the order in which they are tried: first the one that the repository has let in.
    fn in_order<'c>(
        &self,
        credentials: &'c CredentialChain,
    ) -> impl Iterator<Item = &'c Credential> {
        let (repository, list) = (&self.target.repository, credentials.fingerprint());
        let preferred = self.host.memory().preferred(repository, list);
        let is_preferred = move |one: &&Credential| Some(one.fingerprint()) == preferred;
        let first = credentials.iter().filter(is_preferred);
        first.chain(credentials.iter().filter(move |one| !is_preferred(one)))
    }

    fn prefer(&self, credentials: &CredentialChain, credential: &Credential) {
        let (repository, list) = (&self.target.repository, credentials.fingerprint());
        let mut memory = self.host.memory();
        if credentials.iter().next() == Some(credential) {
            memory.prefer_none(repository, list);
        } else {
            memory.prefer(repository, list, credential.fingerprint());
        }
    }

    /// Whether a manifest is missing for somebody who finds the tag of the same repository.
    fn is_let_in(&self, session: &Session<'_>) -> bool {
        let repository = &self.target.repository;
        matches!(self.target.object, Object::Digest(_))
            && self
                .host
                .memory()
                .is_let_in(repository, session.fingerprint(), false)
    }

    /// One error of several refusals: the registry's own word tells more than our silence, and the last one most.
    fn refusal(&self, mut refusals: Vec<Error>) -> Error {
        let own = |error: &Error| error.kind() != ErrorKind::CredentialQuarantined;
        let telling = refusals.iter().rposition(own).unwrap_or(0);
        if telling >= refusals.len() {
            return self.error(Fault::Unauthorized {
                had_credentials: true,
            });
        }
        let error = refusals.remove(telling);
        error.with_refusals(refusals)
    }
}

/// Whether the answer is the manifest, or the one that is known.
fn is_found(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::OK | StatusCode::NOT_MODIFIED)
}

/// Whether the next credential may do better. Who is let in to the tag is not refused because of one manifest.
fn is_refusal(error: &Error) -> bool {
    !error.is_manifest_denied()
        && matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::CredentialQuarantined
        )
}
