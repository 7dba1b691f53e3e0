//! The places and the credentials with which one question is asked in turn.

use http::{HeaderValue, StatusCode};

use crate::{
    Authentication, Credential, Credentials,
    artifactory::{self, Layout},
    error::{Error, ErrorKind},
    exchange::{Answer, Call},
    fault::Fault,
    inquiry::{Inquiry, at},
    observer::Operation,
    session::Session,
    target::Target,
};

/// Credentials that are tried for one question; more would look like guessing.
const MAX_CREDENTIALS: usize = 5;

impl Inquiry<'_> {
    /// Asks where the host has its manifests, as far as is known, else at both places.
    pub(crate) async fn ask(
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

/// Whether the next credential may do better.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Denied | ErrorKind::CredentialQuarantined
    )
}
