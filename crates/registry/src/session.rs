//! One question about a manifest, asked with one credential: challenges and tokens.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use crate::{
    challenge,
    credential::{Credential, Fingerprint},
    error::{Error, ErrorKind},
    exchange::{Answer, Call, Question},
    fault::Fault,
    host::Host,
    negotiation::{Negotiation, Next, Offered},
    observer::Operation,
    onward,
    proof::Proof,
    quarantine::Quarantine,
    scheme::Scheme,
    target::Target,
    token::{Token, TokenCache},
    token_request::TokenFailure,
    transport::Transport,
};

/// How the client authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Without credentials, directly or with a token for everybody.
    Anonymous,
    /// With user name and password.
    Basic,
    /// With a token of the credential's own, or the credential itself as a token.
    Bearer,
}

impl AuthMethod {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
        }
    }
}

/// Questions that one conversation may cost at most: with a kept token, with a fresh one, without authentication, with a
/// token of another realm, and with one of more scopes.
const MAX_QUESTIONS: usize = 6;

/// All that a conversation needs.
#[derive(Clone, Copy)]
pub(crate) struct Session<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) tokens: &'a TokenCache,
    pub(crate) client_id: &'a str,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) target: &'a Target,
    /// The registry's own host.
    pub(crate) host: &'a Arc<Host>,
    pub(crate) credential: Option<&'a Credential>,
    pub(crate) operation: Operation,
    /// The entity tag of what is known already.
    pub(crate) unless: Option<&'a HeaderValue>,
}

/// An answer that is neither 401 nor 403.
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) authentication: AuthMethod,
    /// GET, where HEAD has told too little.
    pub(crate) operation: Operation,
}

/// What a conversation has come to.
struct Conversation {
    negotiation: Negotiation,
    /// Why no token could be had, until it is known whether the registry still wants one of there.
    failure: Option<TokenFailure>,
    /// A token that the registry has refused.
    stale: Option<Token>,
}

impl Session<'_> {
    /// Asks, and proves who asks in the way that the registry wants.
    pub(crate) async fn ask(&self, call: &mut Call<'_>) -> Result<Reply, Error> {
        let introduction = self.host.introduction().await;
        let mut ahead = introduction.map_err(|fault| self.error(fault))?;
        let mut conversation = self.begin();
        for _ in 0..MAX_QUESTIONS {
            let proof = self.next_proof(&mut conversation, call).await?;
            let onward = self.onward_token(call).await;
            let mut question = self.question(self.operation, proof.header());
            question.onward = onward.as_ref().map(onward::Token::header);
            let answer = match self.transport.ask(self.host, question, call).await {
                Ok(answer) => answer,
                // Why the registry was asked afresh tells more.
                Err(error) => return Err(conversation.failure.map_or(error, |one| one.error)),
            };
            if answer.host.origin != self.host.origin {
                self.redirected(proof);
                return self.ask_onward(answer, onward, call).await;
            }
            let reply = self.heard(&mut conversation, proof, answer, call).await?;
            if let Some(reply) = reply {
                return Ok(reply);
            }
            // The others know the scheme now.
            drop(ahead.take());
        }
        Err(self.refuse_repository(None))
    }

    fn begin(&self) -> Conversation {
        let mut memory = self.host.memory();
        let schemes = &mut memory.schemes;
        Conversation {
            negotiation: Negotiation::new(
                schemes.get(&self.target.repository),
                self.credential.is_some(),
                schemes.is_base_without_challenge(),
            ),
            failure: None,
            stale: None,
        }
    }

    /// What the next question carries. Where a token server fails that is only remembered, that is nothing, as it may not
    /// be the registry's any more.
    async fn next_proof(
        &self,
        conversation: &mut Conversation,
        call: &mut Call<'_>,
    ) -> Result<Proof, Error> {
        let scheme = conversation.negotiation.scheme().cloned();
        let stale = conversation.stale.take();
        let failure = match self.proof(scheme.as_deref(), stale, call).await {
            Ok(proof) => return Ok(proof),
            Err(failure) => failure,
        };
        let says_nothing_of_the_realm = matches!(
            failure.error.kind(),
            ErrorKind::RateLimited | ErrorKind::CredentialQuarantined
        );
        if says_nothing_of_the_realm {
            return Err(failure.error);
        }
        let Some(failed) = conversation.negotiation.token_failed() else {
            return Err(self.settle(failure, call).await);
        };
        self.forget(&failed);
        conversation.failure = Some(failure);
        Ok(Proof::None)
    }

    /// What follows from an answer of the registry; none: it is asked again.
    async fn heard(
        &self,
        conversation: &mut Conversation,
        proof: Proof,
        answer: Answer,
        call: &mut Call<'_>,
    ) -> Result<Option<Reply>, Error> {
        let negotiation = &mut conversation.negotiation;
        let refused = answer.status == StatusCode::UNAUTHORIZED;
        let mut next = if refused {
            negotiation.challenged(proof.sent(), self.offered(&answer))
        } else if matches!(proof, Proof::None) && hides(answer.status) && negotiation.hidden() {
            Next::AskBase
        } else {
            return self.conclude(proof, answer, call).await.map(Some);
        };
        if matches!(next, Next::AskBase) {
            let offered = self.ask_base(call).await?;
            next = negotiation.challenged_by_base(offered);
            if !refused && matches!(next, Next::Unsupported(_)) {
                return self.conclude(proof, answer, call).await.map(Some);
            }
        }
        if let Some(scheme) = negotiation.learnt() {
            let schemes = &mut self.host.memory().schemes;
            schemes.learn(&self.target.repository, scheme);
        }
        match next {
            Next::Ask { renew } => {
                if let (true, Proof::Token { token, .. }) = (renew, proof) {
                    conversation.stale = Some(token);
                }
                // It was a matter of another scheme, and others may present the credential again.
                conversation.failure = None;
                Ok(None)
            }
            Next::AskAfresh(failed) => {
                self.forget(&failed);
                Ok(None)
            }
            Next::FailureStands if let Some(failure) = conversation.failure.take() => {
                Err(self.settle(failure, call).await)
            }
            next => Err(self.refused(next, proof, &answer)),
        }
    }

    /// Asks the registry's base for the challenge that it does not put to who asks for a manifest.
    async fn ask_base(&self, call: &mut Call<'_>) -> Result<Offered, Error> {
        let question = Question {
            uri: self.target.base(),
            unless: None,
            ..self.question(Operation::Get, None)
        };
        let answer = self.transport.ask(self.host, question, call).await?;
        let offered = self.offered(&answer);
        if answer.host.origin != self.host.origin || !matches!(offered, Offered::Scheme(_)) {
            let schemes = &mut self.host.memory().schemes;
            schemes.learn_base_without_challenge();
        }
        Ok(offered)
    }

    pub(crate) fn question(
        &self,
        operation: Operation,
        authorization: Option<HeaderValue>,
    ) -> Question {
        Question {
            operation,
            uri: self.target.uri.clone(),
            authorization,
            onward: None,
            account: self.fingerprint(),
            unless: self.unless.cloned(),
            form: None,
        }
    }

    fn offered(&self, answer: &Answer) -> Offered {
        let challenges = challenge::parse(&answer.headers);
        let needed = self.target.scope();
        Scheme::choose(&challenges, &self.host.origin, &answer.uri, Some(&needed))
    }

    fn forget(&self, failed: &Scheme) {
        let schemes = &mut self.host.memory().schemes;
        schemes.forget(&self.target.repository, failed);
    }

    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.credential.map(Credential::fingerprint)
    }

    pub(crate) fn error(&self, fault: Fault) -> Error {
        Error::new(self.host.origin.to_string(), fault)
    }
}

/// Whether an answer may hide from strangers what is there.
fn hides(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
}
