//! Tokens of a token server: each is fetched once for all callers that need it.

use std::sync::Arc;

use http::HeaderValue;
use tokio::time::Instant;

use super::{
    context::Context,
    header::basic,
    quarantine::{Probe, Proven, Suspicion},
    scheme::Bearer,
    token::{Token, TokenKey},
    token_request::{self, TokenVerdict},
};
use crate::{
    credential::{Credential, Secret},
    error::{Error, repr::Repr},
    http::{Call, Request, Response, redirect_policy},
    observer::Operation,
    origin::Origin,
};

/// The largest response of a token server, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Where tokens of certain scopes come from.
#[derive(Clone, Copy)]
pub(crate) struct TokenSource<'a> {
    context: Context<'a>,
    bearer: &'a Bearer,
    scopes: &'a [String],
}

/// No token could be had, and what that would mean for the credential. That is not settled yet: a realm that was
/// remembered may not be the registry's any more.
pub(crate) struct TokenFailure {
    pub(crate) error: Error,
    refusal: Option<Refusal>,
}

/// A refusal of a token server.
struct Refusal {
    verdict: TokenVerdict,
    /// Held until it is settled, so that nobody else presents the credential meanwhile.
    probe: Probe,
    bearer: Bearer,
}

/// A token request that failed, and what it says of the credential, if it says anything.
type Failed = (Error, Option<TokenVerdict>);

impl From<Error> for TokenFailure {
    fn from(error: Error) -> Self {
        let refusal = None;
        Self { error, refusal }
    }
}

impl TokenFailure {
    /// The failure stands: what it means for the credential counts.
    pub(crate) async fn settle(self, context: Context<'_>, call: &mut Call<'_>) -> Error {
        let Self { error, refusal } = self;
        let Some(Refusal {
            verdict,
            probe,
            bearer,
        }) = refusal
        else {
            return error;
        };
        let (TokenVerdict::Forbidden { suspends }, Some(key)) = (verdict, context.key()) else {
            probe.refuse();
            return error;
        };
        let is_news = context.quarantine.refuse(key);
        if let Suspicion::Credential { proven, is_new } = probe.forbidden(is_news) {
            let proven = proven.filter(|proven| proven.realm == bearer.realm);
            match is_still_good(context, &bearer, proven, call).await {
                Some(true) => probe.accept(),
                Some(false) if suspends => probe.suspend(),
                Some(false) if is_new => probe.refuse(),
                Some(false) => probe.rest(),
                None => {}
            }
        }
        error
    }
}

/// Whether a credential still gets the token that it got before, as far as that is known.
async fn is_still_good(
    context: Context<'_>,
    bearer: &Bearer,
    proven: Option<Arc<Proven>>,
    call: &mut Call<'_>,
) -> Option<bool> {
    let Some(proven) = proven else {
        return Some(false); // nothing speaks for it
    };
    let source = TokenSource::new(context, bearer, &proven.scopes);
    match source.request(call).await {
        Ok(_) => Some(true),
        Err((_, verdict)) => verdict.map(|_| false),
    }
}

impl<'a> TokenSource<'a> {
    pub(crate) fn new(context: Context<'a>, bearer: &'a Bearer, scopes: &'a [String]) -> Self {
        Self {
            context,
            bearer,
            scopes,
        }
    }

    /// A token, and whether it was kept from before. `stale` is one that the registry has refused.
    pub(crate) async fn fetch(
        &self,
        stale: Option<&Token>,
        call: &mut Call<'_>,
    ) -> Result<(Token, bool), TokenFailure> {
        let context = self.context;
        let credential = context.credential.map(Credential::content);
        let key = TokenKey::new(self.bearer, self.scopes, credential);
        let flight = context.tokens.join(key);
        let asked = Instant::now();
        let locked = context.host.queue(flight.lock()).await;
        let mut outcome = locked.map_err(|repr| context.error(repr))?;
        if let Some(error) = outcome.failure_since(asked) {
            return Err(error.clone().into());
        }
        if let Some(token) = outcome.value()
            && token.is_usable(Instant::now())
            && stale.is_none_or(|stale| stale.authorization != token.authorization)
        {
            return Ok((token.share(), true));
        }
        let requested = match context.credential {
            None => self.request(call).await.map_err(|(error, _)| error.into()),
            Some(credential) => self.request_with(credential, call).await,
        };
        match requested {
            Ok(token) => {
                outcome.succeed(&token);
                Ok((token, false))
            }
            Err(failure) => {
                outcome.fail(failure.error.clone());
                Err(failure)
            }
        }
    }

    /// Presents a credential to the token server.
    async fn request_with(
        &self,
        credential: &Credential,
        call: &mut Call<'_>,
    ) -> Result<Token, TokenFailure> {
        let probe = self.context.admit(credential.content()).await?;
        match self.request(call).await {
            Ok(token) => {
                probe.accept_for(Proven {
                    realm: self.bearer.realm.clone(),
                    scopes: self.scopes.to_vec(),
                });
                Ok(token)
            }
            Err((error, verdict)) => Err(TokenFailure {
                error,
                refusal: verdict.map(|verdict| Refusal {
                    verdict,
                    probe,
                    bearer: self.bearer.clone(),
                }),
            }),
        }
    }

    async fn request(&self, call: &mut Call<'_>) -> Result<Token, Failed> {
        let response = self.send(call).await.map_err(|error| (error, None))?;
        let had_credentials = self.context.credential.is_some();
        token_request::read(&response, had_credentials).map_err(|repr| {
            let verdict = token_request::verdict(&repr, &response);
            (response.error(repr), verdict)
        })
    }

    async fn send(&self, call: &mut Call<'_>) -> Result<Response, Error> {
        let credential = self.context.credential;
        let response = match credential.map(|credential| &*credential.secret) {
            None | Some(Secret::Bearer { .. }) => return self.get(None, call).await,
            Some(Secret::Password { username, password }) => {
                self.get(Some(basic(username, password)), call).await?
            }
            Some(Secret::Identity { username, token }) => {
                let response = self.post(token, call).await?;
                // Only these mean "no such method"; after any other the token is not presented twice.
                if matches!(response.status.as_u16(), 404 | 405) {
                    self.get(Some(basic(username, token)), call).await?
                } else {
                    response
                }
            }
        };
        // Where a token server redirects to does not get the credential, so what it answers is not for the credential.
        if Origin::of(&response.uri) == Origin::of(&self.bearer.realm) {
            return Ok(response);
        }
        Err(self.context.error(Repr::RedirectRefused {
            to: response.origin.to_string(),
            reason: "a token server's credentials are for itself alone",
        }))
    }

    async fn get(
        &self,
        authorization: Option<HeaderValue>,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
        let uri = token_request::token_uri(self.bearer, self.scopes);
        let uri = uri.ok_or_else(|| self.context.error(Repr::TokenAnswer))?;
        let mut request = Request::new(Operation::Token, uri, MAX_BYTES);
        request.authorization = authorization;
        self.ask(request, call).await
    }

    /// `OAuth2`, for identity tokens only: passwords sent so cost some servers a failed login
    /// (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    async fn post(&self, refresh_token: &str, call: &mut Call<'_>) -> Result<Response, Error> {
        let client_id = self.context.client_id;
        let form = token_request::refresh_form(self.bearer, client_id, self.scopes, refresh_token);
        let mut request = Request::new(Operation::Token, self.bearer.realm.clone(), MAX_BYTES);
        request.form = Some(form.into());
        self.ask(request, call).await
    }

    async fn ask(&self, mut request: Request, call: &mut Call<'_>) -> Result<Response, Error> {
        let context = self.context;
        let origin = redirect_policy::check(&self.bearer.realm, &context.host.origin);
        let origin = origin.map_err(|repr| context.error(repr))?;
        if !context.may_be_sent_to(&origin) {
            return Err(context.error(Repr::RedirectRefused {
                to: origin.to_string(),
                reason: "a cloud's token is sent to the cloud's own hosts only",
            }));
        }
        let host = context.http.named(context.host, &origin, call.config);
        request.account = context.fingerprint();
        context.http.send(&host, request, call).await
    }
}
