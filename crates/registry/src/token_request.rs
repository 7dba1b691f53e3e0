//! Asking a token server, once for all who need the same token.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, Uri, uri::PathAndQuery};
use tokio::time::Instant;

use crate::{
    artifactory::is_artifactory,
    credential::{Credential, Secret},
    error::Error,
    exchange::{Answer, Call, Question},
    fault::Fault,
    flight::LastFailure,
    observer::Operation,
    place,
    proof::basic,
    quarantine::{Proven, Suspicion, Trial},
    scheme::Bearer,
    session::Session,
    target::Origin,
    token::{Token, TokenKey},
};

/// No token could be had, and what that would mean for the credential. That is not settled yet: a realm that was
/// remembered may not be the registry's any more.
pub(crate) struct TokenFailure {
    pub(crate) error: Error,
    refusal: Option<Refusal>,
}

/// A refusal of a token server.
struct Refusal {
    verdict: Verdict,
    /// Held until it is settled, so that nobody else presents the credential meanwhile.
    trial: Trial,
    bearer: Bearer,
}

/// What a token server says of a credential.
#[derive(Debug, Clone, Copy)]
enum Verdict {
    Refused,
    /// Of this repository, or of the credential altogether.
    Forbidden {
        suspends: bool,
    },
}

/// A token request that failed.
struct Failed {
    error: Error,
    verdict: Option<Verdict>,
}

impl From<Error> for TokenFailure {
    fn from(error: Error) -> Self {
        let refusal = None;
        Self { error, refusal }
    }
}

impl From<Failed> for TokenFailure {
    fn from(failed: Failed) -> Self {
        failed.error.into()
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let verdict = None;
        Self { error, verdict }
    }
}

impl Session<'_> {
    /// A token with these scopes, and whether it was kept from before. `stale` is one that the registry has refused.
    pub(crate) async fn fetch_token(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        stale: Option<&Token>,
        call: &mut Call<'_>,
    ) -> Result<(Token, bool), TokenFailure> {
        let credential = self.credential.map(Credential::fingerprint);
        let slot = self.tokens.slot(TokenKey::new(bearer, scopes, credential));
        let asked = Instant::now();
        let place = self.host.queue(slot.lock()).await;
        let mut place = place.map_err(|fault| self.error(fault))?;
        let failure = place.failure.as_ref();
        if let Some(error) = failure.and_then(|failure| failure.since(asked, &())) {
            return Err(error.into());
        }
        if let Some(token) = &place.token
            && token.is_usable(Instant::now())
            && stale.is_none_or(|stale| stale.authorization != token.authorization)
        {
            return Ok((token.share(), true));
        }
        let requested = match self.credential {
            None => {
                let requested = self.request(bearer, scopes, None, call).await;
                requested.map_err(TokenFailure::from)
            }
            Some(credential) => self.request_with(bearer, scopes, credential, call).await,
        };
        match requested {
            Ok(token) => {
                place.token = Some(token.clone());
                Ok((token, false))
            }
            Err(failure) => {
                place.failure = Some(LastFailure::new((), failure.error.clone()));
                Err(failure)
            }
        }
    }

    /// The failure stands: what it means for the credential counts.
    pub(crate) async fn settle(&self, failure: TokenFailure, call: &mut Call<'_>) -> Error {
        let (registry, repository) = (&self.host.origin, &self.target.repository);
        let Some(Refusal {
            verdict,
            trial,
            bearer,
        }) = failure.refusal
        else {
            return failure.error;
        };
        match (verdict, self.credential) {
            (Verdict::Forbidden { suspends }, Some(credential)) => {
                let fingerprint = credential.fingerprint();
                let is_news = self
                    .quarantine
                    .refuse_repository(registry, repository, fingerprint);
                if let Suspicion::Credential { proven, is_new } = trial.forbidden(is_news) {
                    let proven = proven.filter(|proven| proven.realm == bearer.realm);
                    match self.is_still_good(proven, &bearer, credential, call).await {
                        Some(true) => trial.accept(),
                        Some(false) if suspends => trial.suspend(),
                        Some(false) if is_new => trial.refuse(),
                        Some(false) => trial.rest(),
                        None => {}
                    }
                }
            }
            _ => trial.refuse(),
        }
        failure.error
    }

    /// Whether a credential still gets the token that it got before, if that can be told.
    async fn is_still_good(
        &self,
        proven: Option<Arc<Proven>>,
        bearer: &Bearer,
        credential: &Credential,
        call: &mut Call<'_>,
    ) -> Option<bool> {
        let Some(proven) = proven else {
            return Some(false); // nothing speaks for it
        };
        let asked = self.request(bearer, &proven.scopes, Some(credential), call);
        match asked.await {
            Ok(_) => Some(true),
            Err(failure) => failure.verdict.map(|_| false),
        }
    }

    /// Presents a credential to the token server.
    async fn request_with(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        credential: &Credential,
        call: &mut Call<'_>,
    ) -> Result<Token, TokenFailure> {
        let trial = self.admit(credential.fingerprint()).await?;
        match self.request(bearer, scopes, Some(credential), call).await {
            Ok(token) => {
                trial.accept_for(Proven {
                    realm: bearer.realm.clone(),
                    scopes: scopes.to_vec(),
                });
                Ok(token)
            }
            Err(Failed { error, verdict }) => Err(TokenFailure {
                error,
                refusal: verdict.map(|verdict| Refusal {
                    verdict,
                    trial,
                    bearer: bearer.clone(),
                }),
            }),
        }
    }

    async fn request(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        credential: Option<&Credential>,
        call: &mut Call<'_>,
    ) -> Result<Token, Failed> {
        let answer = match credential.map(|credential| &*credential.secret) {
            None | Some(Secret::Bearer { .. }) => self.get(bearer, scopes, None, call).await?,
            Some(Secret::Password { username, password }) => {
                let authorization = Some(basic(username, password));
                self.get(bearer, scopes, authorization, call).await?
            }
            Some(Secret::Identity { username, token }) => {
                let answer = self.post(bearer, scopes, token, call).await?;
                // Only these mean "no such method"; after any other the token is not presented twice.
                if matches!(
                    answer.status,
                    StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                ) {
                    let authorization = Some(basic(username, token));
                    self.get(bearer, scopes, authorization, call).await?
                } else {
                    answer
                }
            }
        };
        if credential.is_some() {
            self.came_from(bearer, &answer)?;
        }
        read(&answer, credential.is_some()).map_err(|fault| Failed {
            verdict: verdict(&fault, &answer),
            error: Error::answered(&answer, fault),
        })
    }

    /// Where a token server redirects to does not get the credential, so what it answers is not for who has it.
    fn came_from(&self, bearer: &Bearer, answer: &Answer) -> Result<(), Error> {
        if Origin::of(&answer.uri) == Origin::of(&bearer.realm) {
            return Ok(());
        }
        Err(self.error(Fault::RedirectRefused {
            place: answer.host.origin.to_string(),
            reason: "a token server's credentials are for itself alone",
        }))
    }

    async fn get(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        authorization: Option<HeaderValue>,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let uri = token_uri(bearer, scopes);
        self.send(bearer, uri, authorization, None, call).await
    }

    /// `OAuth2`, for identity tokens only: passwords sent so cost some servers a failed login
    /// (<https://distribution.github.io/distribution/spec/auth/oauth/>).
    async fn post(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        refresh_token: &str,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let form = refresh_form(bearer, self.client_id, scopes, refresh_token);
        self.send(bearer, Some(bearer.realm.clone()), None, Some(form), call)
            .await
    }

    async fn send(
        &self,
        bearer: &Bearer,
        uri: Option<Uri>,
        authorization: Option<HeaderValue>,
        form: Option<String>,
        call: &mut Call<'_>,
    ) -> Result<Answer, Error> {
        let error = |fault| self.error(fault);
        let origin = place::check(&bearer.realm, &self.host.origin).map_err(error)?;
        let host = self.transport.named(self.host, &origin, call.rule);
        let question = Question {
            operation: Operation::Token,
            uri: uri.ok_or_else(|| error(Fault::TokenAnswer))?,
            authorization,
            onward: None,
            account: self.fingerprint(),
            unless: None,
            form: form.map(Into::into),
        };
        self.transport.ask(&host, question, call).await
    }
}

/// What an answer without a token says of the credential, if it says anything.
fn verdict(fault: &Fault, answer: &Answer) -> Option<Verdict> {
    match fault {
        Fault::Unauthorized { .. } => Some(Verdict::Refused),
        Fault::TokenDenied { .. } => Some(Verdict::Forbidden {
            suspends: is_artifactory(&answer.headers),
        }),
        _ => None,
    }
}

/// The token in an answer.
fn read(answer: &Answer, had_credentials: bool) -> Result<Token, Fault> {
    match answer.status {
        StatusCode::OK => Token::read(&answer.body, Instant::now()),
        StatusCode::UNAUTHORIZED => Err(Fault::Unauthorized { had_credentials }),
        // A refresh token that is not valid any more: RFC 6749, section 5.2.
        StatusCode::BAD_REQUEST if answer.said.codes.iter().any(|code| code == "invalid_grant") => {
            Err(Fault::Unauthorized { had_credentials })
        }
        StatusCode::FORBIDDEN => Err(Fault::TokenDenied { had_credentials }),
        status => Err(Fault::TokenStatus(status)),
    }
}

/// The fields of a form or a query.
struct Fields(form_urlencoded::Serializer<'static, String>);

impl Fields {
    fn new(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().to_owned();
        Self(form_urlencoded::Serializer::for_suffix(query, 0))
    }

    fn service(&mut self, bearer: &Bearer) {
        if let Some(service) = &bearer.service {
            self.0.append_pair("service", service);
        }
    }
}

/// Where a token is asked for with GET: one `scope` for each, and what the realm had already.
fn token_uri(bearer: &Bearer, scopes: &[String]) -> Option<Uri> {
    let mut fields = Fields::new(bearer.realm.query());
    fields.service(bearer);
    for scope in scopes {
        fields.0.append_pair("scope", scope);
    }
    with_query(&bearer.realm, &fields.0.finish())
}

/// The form of an `OAuth2` refresh: one `scope` for all.
fn refresh_form(
    bearer: &Bearer,
    client_id: &str,
    scopes: &[String],
    refresh_token: &str,
) -> String {
    let mut fields = Fields::new(None);
    fields.0.append_pair("grant_type", "refresh_token");
    fields.service(bearer);
    fields
        .0
        .append_pair("client_id", client_id)
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", refresh_token);
    fields.0.finish()
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let path = PathAndQuery::try_from(format!("{}?{query}", uri.path())).ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}
