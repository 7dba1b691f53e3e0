//! A repository that a registry redirects to on another registry, where nobody knows us: it is read with a token for
//! everybody at the most.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, Uri};

use crate::{
    challenge,
    error::Error,
    exchange::{Answer, Call},
    fault::Fault,
    negotiation::Offered,
    scheme::{Bearer, Scheme},
    schemes::Onward,
    session::{AuthMethod, Reply, Session},
    target::Origin,
    token,
};

/// A token for where a registry redirects to.
pub(crate) struct Token {
    origin: Origin,
    token: token::Token,
}

impl Token {
    /// The header for that origin.
    pub(crate) fn header(&self) -> (Origin, HeaderValue) {
        (self.origin.clone(), self.token.authorization.clone())
    }
}

impl Session<'_> {
    /// A token for where the registry is known to redirect to, so that a redirect costs one request more and not three.
    pub(crate) async fn onward_token(&self, call: &mut Call<'_>) -> Option<Token> {
        let repository = &self.target.repository;
        let onward = self.host.memory().schemes.onward(repository)?;
        let host = self.transport.named(self.host, &onward.origin, call.rule);
        let stranger = Session {
            host: &host,
            credential: None,
            ..*self
        };
        let fetched = stranger.fetch_token(&onward.bearer, &onward.scopes, None, call);
        let Ok((token, _)) = fetched.await else {
            self.host.memory().schemes.forget_onward(repository);
            return None;
        };
        Some(Token {
            origin: onward.origin.clone(),
            token,
        })
    }

    /// Goes on at another origin, which has answered: to `sent`, if that was for it.
    pub(crate) async fn ask_onward(
        &self,
        answer: Answer,
        sent: Option<Token>,
        call: &mut Call<'_>,
    ) -> Result<Reply, Error> {
        if answer.status != StatusCode::UNAUTHORIZED {
            return self.told_onward(answer);
        }
        let host = Arc::clone(&answer.host);
        let unauthorized = Fault::Unauthorized {
            had_credentials: false,
        };
        let challenges = challenge::parse(&answer.headers);
        let bearer = match Scheme::choose(&challenges, &host.origin, &answer.uri, None) {
            Offered::Scheme(Scheme::Bearer(bearer)) => bearer,
            Offered::Scheme(Scheme::Basic) => return Err(Error::answered(&answer, unauthorized)),
            Offered::Nothing(fault) | Offered::Unusable(fault) => {
                return Err(Error::answered(&answer, fault));
            }
        };
        let scopes = self.scopes_onward(&bearer, &answer.uri);
        let stranger = Session {
            host: &host,
            credential: None,
            ..*self
        };
        let stale = sent.filter(|sent| sent.origin == host.origin);
        let stale = stale.map(|sent| sent.token);
        let fetched = stranger.fetch_token(&bearer, &scopes, stale.as_ref(), call);
        let (token, _) = fetched.await.map_err(|failure| failure.error)?;
        let mut question = self.question(self.operation, Some(token.authorization));
        question.uri = answer.uri;
        question.account = None;
        let answer = self.transport.ask(&host, question, call).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Err(self.refused_onward(&answer, unauthorized));
        }
        let origin = host.origin.clone();
        let onward = Onward {
            origin,
            bearer,
            scopes,
        };
        let repository = &self.target.repository;
        self.host.memory().schemes.learn_onward(repository, onward);
        self.told_onward(answer)
    }

    /// Exactly the scopes of the challenge: some token servers refuse all of them for one that they do not know. Without
    /// any, that of the repository as it is called there.
    fn scopes_onward(&self, bearer: &Bearer, uri: &Uri) -> Vec<String> {
        if !bearer.scopes.is_empty() {
            return bearer.scopes.clone();
        }
        let path = uri.path().strip_prefix("/v2/");
        let name = path.and_then(|path| path.rsplit_once("/manifests/"));
        match name {
            Some((name, _)) => vec![format!("repository:{name}:pull")],
            None => vec![self.target.scope()],
        }
    }

    fn told_onward(&self, answer: Answer) -> Result<Reply, Error> {
        if answer.status == StatusCode::FORBIDDEN {
            let had_credentials = false;
            return Err(self.refused_onward(&answer, Fault::Denied { had_credentials }));
        }
        Ok(Reply {
            answer,
            authentication: AuthMethod::Anonymous,
            operation: self.operation,
        })
    }

    fn refused_onward(&self, answer: &Answer, fault: Fault) -> Error {
        if self.concerns_the_manifest_alone(answer) {
            return Error::answered(answer, Fault::ManifestDenied(answer.status));
        }
        Error::answered(answer, fault)
    }
}
