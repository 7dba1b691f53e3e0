//! One question about a manifest, asked with one credential: challenges, tokens, refusals.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::{
    artifactory::is_artifactory,
    challenge,
    credential::Credential,
    error::Error,
    exchange::{Answer, Call, Question},
    fault::Fault,
    host::Host,
    observer::Operation,
    proof::Proof,
    quarantine::Quarantine,
    scheme::Scheme,
    target::Target,
    token::{Token, TokenCache},
    transport::Transport,
};

/// How the registry was convinced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// Without credentials, directly or with a token for everybody.
    Anonymous,
    /// With user name and password.
    Basic,
    /// With a token of the credential's own, or the credential itself as a token.
    Bearer,
}

impl Authentication {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}

/// Questions that one call may cost at most: without authentication, with a kept token, with a fresh one, and once
/// more if the registry has changed its mind about the scheme.
const MAX_QUESTIONS: usize = 4;

/// All that a conversation needs.
pub(crate) struct Session<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) tokens: &'a TokenCache,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) target: &'a Target,
    /// The registry's own host.
    pub(crate) host: &'a Arc<Host>,
    pub(crate) credential: Option<&'a Credential>,
}

impl Session<'_> {
    /// Asks, and proves who asks in the way that the registry wants. Any status but 401 is the caller's.
    pub(crate) async fn ask(
        &self,
        operation: Operation,
        unless: Option<HeaderValue>,
        call: &mut Call<'_>,
    ) -> Result<(Answer, Authentication), Error> {
        let introduction = self.host.introduction().await;
        let mut ahead = introduction.map_err(|fault| self.error(fault))?;
        let mut scheme = self.recall();
        let mut stale: Option<Token> = None;
        for _ in 0..MAX_QUESTIONS {
            let proof = self.proof(scheme.as_deref(), stale.take(), call).await?;
            let question = Question {
                operation,
                uri: self.target.uri.clone(),
                authorization: proof.header(),
                unless: unless.clone(),
                form: None,
            };
            let answer = self.transport.ask(self.host, question, call).await?;
            if answer.host.origin != self.host.origin {
                return self.ask_elsewhere(answer, operation, call).await;
            }
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(self.conclude(proof, answer));
            }
            let offered = challenge::parse(&answer.headers);
            let choice = Scheme::choose(&offered, &self.host.origin, &self.target.scope());
            scheme = match (proof, choice) {
                (Proof::None, Ok(Scheme::Basic)) if self.credential.is_none() => {
                    return Err(self.unauthorized(Some(&answer)));
                }
                (Proof::None, choice) => {
                    Some(self.learn(choice.map_err(|fault| self.error(fault))?))
                }
                // Harbor offers Basic to any bad token: the realm is the one that it named before.
                (Proof::Token { token, kept: true }, choice) => {
                    stale = Some(token);
                    match choice {
                        Ok(bearer @ Scheme::Bearer(_)) => Some(self.learn(bearer)),
                        _ => scheme,
                    }
                }
                // Not what was remembered for the rest of the registry: another realm, or more scopes.
                (Proof::Token { .. }, Ok(other @ Scheme::Bearer(_)))
                    if scheme.as_deref() != Some(&other) =>
                {
                    Some(self.learn(other))
                }
                // The token server accepted the credential, so it is the repository that is refused.
                (Proof::Token { .. }, _) => return Err(self.refuse_repository(Some(&answer))),
                (Proof::Basic(_, trial), Ok(bearer @ Scheme::Bearer(_))) => {
                    drop(trial);
                    Some(self.learn(bearer))
                }
                (Proof::Basic(_, trial) | Proof::Static(_, trial), _) => {
                    trial.refuse();
                    return Err(self.unauthorized(Some(&answer)));
                }
            };
            // The others know the scheme now.
            drop(ahead.take());
        }
        Err(self.refuse_repository(None))
    }

    /// What an answer other than 401 tells about the credential.
    fn conclude(&self, proof: Proof, answer: Answer) -> (Answer, Authentication) {
        let authentication = match (&proof, self.credential) {
            (Proof::None, _) | (_, None) => Authentication::Anonymous,
            (Proof::Basic(..), _) => Authentication::Basic,
            (Proof::Static(..) | Proof::Token { .. }, _) => Authentication::Bearer,
        };
        let forbidden = answer.status == StatusCode::FORBIDDEN;
        // Artifactory answers so, not with 401, while a login is suspended.
        let suspended = forbidden && is_artifactory(&answer.headers);
        match proof {
            Proof::Basic(_, trial) | Proof::Static(_, trial) if suspended => trial.refuse(),
            Proof::Basic(_, trial) | Proof::Static(_, trial)
                if answer.status.is_success() || answer.status.is_client_error() =>
            {
                trial.accept();
            }
            // A server's own failure is no verdict.
            _ => {}
        }
        if let Some(credential) = self.credential
            && authentication != Authentication::Anonymous
        {
            let (registry, repository) = (&self.host.origin, &self.target.repository);
            let credential = credential.fingerprint();
            if forbidden && !suspended {
                self.quarantine
                    .refuse_repository(registry, repository, credential);
            } else if answer.status.is_success() {
                self.quarantine
                    .accept_repository(registry, repository, credential);
            }
        }
        (answer, authentication)
    }

    /// Goes on at another origin, where nobody knows us: at most with a token for everybody.
    async fn ask_elsewhere(
        &self,
        answer: Answer,
        operation: Operation,
        call: &mut Call<'_>,
    ) -> Result<(Answer, Authentication), Error> {
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok((answer, Authentication::Anonymous));
        }
        let host = Arc::clone(&answer.host);
        let error = |fault| Error::new(host.origin.to_string(), fault);
        let unauthorized = Fault::Unauthorized {
            had_credentials: false,
        };
        let offered = challenge::parse(&answer.headers);
        let Scheme::Bearer(bearer) =
            Scheme::choose(&offered, &host.origin, &self.target.scope()).map_err(error)?
        else {
            return Err(error(unauthorized));
        };
        let stranger = Session {
            host: &host,
            credential: None,
            ..*self
        };
        let (token, _) = stranger.fetch_token(&bearer, None, call).await?;
        let question = Question {
            operation,
            uri: answer.uri,
            authorization: Some(token.authorization),
            unless: None,
            form: None,
        };
        let answer = self.transport.ask(&host, question, call).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(Error::answered(&answer, unauthorized));
        }
        Ok((answer, Authentication::Anonymous))
    }

    fn recall(&self) -> Option<Arc<Scheme>> {
        self.host.memory().scheme(&self.target.repository)
    }

    fn learn(&self, scheme: Scheme) -> Arc<Scheme> {
        self.host.memory().learn(&self.target.repository, scheme)
    }

    fn refuse_repository(&self, answer: Option<&Answer>) -> Error {
        if let Some(credential) = self.credential {
            self.quarantine.refuse_repository(
                &self.host.origin,
                &self.target.repository,
                credential.fingerprint(),
            );
        }
        self.unauthorized(answer)
    }

    fn unauthorized(&self, answer: Option<&Answer>) -> Error {
        let had_credentials = self.credential.is_some();
        let fault = Fault::Unauthorized { had_credentials };
        match answer {
            Some(answer) => Error::answered(answer, fault),
            None => self.error(fault),
        }
    }

    pub(crate) fn error(&self, fault: Fault) -> Error {
        Error::new(self.host.origin.to_string(), fault)
    }
}
