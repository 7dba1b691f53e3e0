//! Tokens of a token server: each is fetched once for all callers that need it.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::{
    authorization::basic,
    context::Context,
    quarantine::{Probe, Proof, Suspicion},
    scheme::Bearer,
    token::{Token, TokenKey},
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

/// The source of tokens with certain scopes.
#[derive(Clone, Copy)]
pub(crate) struct TokenSource<'a> {
    context: Context<'a>,
    bearer: &'a Arc<Bearer>,
    scopes: &'a [String],
}

/// A failure to get a token. What it implies for the credential is not known yet: the registry may have another realm
/// than the remembered one.
pub(crate) struct TokenFailure {
    pub(crate) error: Error,
    refusal: Option<Refusal>,
}

/// A token server's refusal of a credential.
struct Refusal {
    /// Held until that is known, so that no other caller presents the credential meanwhile.
    probe: Probe,
    bearer: Arc<Bearer>,
    /// The token server is an Artifactory, which responds with 403 while a login is suspended.
    is_artifactory: bool,
}

/// A token request that failed, and whether Artifactory responded to it.
type Failed = (Error, bool);

impl From<Error> for TokenFailure {
    fn from(error: Error) -> Self {
        let refusal = None;
        Self { error, refusal }
    }
}

impl TokenFailure {
    /// Records what the failure implies for the credential: the registry still wants a token of this server.
    pub(crate) async fn conclude(self, context: Context<'_>, call: &mut Call<'_>) -> Error {
        let Self { error, refusal } = self;
        let Some(refusal) = refusal else {
            return error;
        };
        let denied = matches!(error.repr(), Repr::TokenDenied { .. });
        let quarantined = denied.then(|| context.quarantine_repository()).flatten();
        match quarantined {
            Some(is_new) => refusal.suspect(is_new, context, call).await,
            None => refusal.probe.refuse(),
        }
        error
    }
}

impl Refusal {
    /// Finds out whether a 403 concerns the repository or the credential. `is_new`: the repository was not refused before.
    async fn suspect(self, is_new: bool, context: Context<'_>, call: &mut Call<'_>) {
        let Suspicion::Credential { proof, is_new } = self.probe.deny(is_new) else {
            return;
        };
        let proof = proof.filter(|proof| proof.realm == self.bearer.realm);
        let is_valid = match proof {
            None => false, // nothing speaks for it
            Some(proof) => {
                let source = TokenSource::new(context, &self.bearer, &proof.scopes);
                match source.request(call).await {
                    Ok(_) => true,
                    Err((error, _)) if is_refusal(&error) => false,
                    Err(_) => return,
                }
            }
        };
        match (is_valid, is_new) {
            (true, _) => self.probe.accept(None),
            (false, _) if self.is_artifactory => self.probe.suspend(),
            (false, true) => self.probe.refuse(),
            (false, false) => self.probe.rest(),
        }
    }
}

/// Whether a token server refused the credential.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.repr(),
        Repr::Unauthorized { .. } | Repr::TokenDenied { .. }
    )
}

impl<'a> TokenSource<'a> {
    pub(crate) fn new(context: Context<'a>, bearer: &'a Arc<Bearer>, scopes: &'a [String]) -> Self {
        Self {
            context,
            bearer,
            scopes,
        }
    }

    /// A token, cached or requested. `stale` is one that the registry refused.
    pub(crate) async fn fetch(
        &self,
        stale: Option<&Token>,
        call: &mut Call<'_>,
    ) -> Result<Token, TokenFailure> {
        let context = self.context;
        let key = self.key();
        let flight = context.tokens.flights.join(key);
        let started = Instant::now();
        let locked = context.host.queue(flight.lock()).await;
        let mut last = locked.map_err(|repr| context.error(repr))?;
        if let Some(error) = last.failure_since(started) {
            return Err(error.clone().into());
        }
        if let Some(token) = context.tokens.get(&key)
            && stale.is_none_or(|stale| stale.authorization != token.authorization)
        {
            return Ok(token.share());
        }
        let requested = match context.credential() {
            None => self.request(call).await.map_err(|(error, _)| error.into()),
            Some(credential) => self.request_with(credential, call).await,
        };
        match &requested {
            Ok(token) => context.tokens.put(token.clone()),
            Err(failure) => last.fail(failure.error.clone()),
        }
        requested
    }

    fn key(&self) -> TokenKey {
        let credential = self.context.credential().map(Credential::content);
        TokenKey::new(self.bearer, self.scopes, credential)
    }

    /// Requests a token with a credential.
    async fn request_with(
        &self,
        credential: &Credential,
        call: &mut Call<'_>,
    ) -> Result<Token, TokenFailure> {
        let probe = self.context.probe(credential).await?;
        match self.request(call).await {
            Ok(token) => {
                probe.accept(Some(Proof {
                    realm: self.bearer.realm.clone(),
                    scopes: self.scopes.to_vec(),
                }));
                Ok(token)
            }
            Err((error, is_artifactory)) => Err(TokenFailure {
                refusal: is_refusal(&error).then(|| Refusal {
                    probe,
                    bearer: Arc::clone(self.bearer),
                    is_artifactory,
                }),
                error,
            }),
        }
    }

    async fn request(&self, call: &mut Call<'_>) -> Result<Token, Failed> {
        let response = self.send(call).await.map_err(|error| (error, false))?;
        self.read(&response)
            .map_err(|repr| (response.error(repr), response.is_artifactory()))
    }

    fn read(&self, response: &Response) -> Result<Token, Repr> {
        let had_credentials = self.context.login.is_some();
        let mut codes = response.error_body.codes.iter();
        match response.status {
            StatusCode::OK => Token::read(self.key(), &response.body, Instant::now()),
            StatusCode::UNAUTHORIZED => Err(Repr::Unauthorized { had_credentials }),
            // An invalid refresh token: RFC 6749, section 5.2.
            StatusCode::BAD_REQUEST if codes.any(|code| code == "invalid_grant") => {
                Err(Repr::Unauthorized { had_credentials })
            }
            StatusCode::FORBIDDEN => Err(Repr::TokenDenied { had_credentials }),
            status => Err(Repr::TokenStatus(status)),
        }
    }

    async fn send(&self, call: &mut Call<'_>) -> Result<Response, Error> {
        let credential = self.context.credential();
        let response = match credential.map(|credential| &*credential.secret) {
            None | Some(Secret::Bearer { .. }) => return self.get(None, call).await,
            Some(Secret::Password { username, password }) => {
                self.get(Some(basic(username, password)), call).await?
            }
            Some(Secret::Identity { username, token }) => {
                let response = self.post(token, call).await?;
                // Only these mean "no such method"; after any other status the token is not presented twice.
                if matches!(response.status.as_u16(), 404 | 405) {
                    self.get(Some(basic(username, token)), call).await?
                } else {
                    response
                }
            }
        };
        // A redirect's target does not get the credential, so its response proves nothing about the credential.
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
        let uri = self.bearer.token_uri(self.scopes);
        let uri = uri.ok_or_else(|| self.context.error(Repr::MalformedTokenResponse))?;
        let mut request = Request::new(Operation::Token, uri, MAX_BYTES);
        request.authorization = authorization;
        self.send_to_realm(request, call).await
    }

    /// `OAuth2`, for identity tokens only: some servers count passwords sent by POST as failed logins
    /// (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    async fn post(&self, refresh_token: &str, call: &mut Call<'_>) -> Result<Response, Error> {
        let client_id = self.context.client_id;
        let form = self
            .bearer
            .refresh_form(client_id, self.scopes, refresh_token);
        let mut request = Request::new(Operation::Token, self.bearer.realm.clone(), MAX_BYTES);
        request.form = Some(form.into());
        self.send_to_realm(request, call).await
    }

    async fn send_to_realm(
        &self,
        mut request: Request,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
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
