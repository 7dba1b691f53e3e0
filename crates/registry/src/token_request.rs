//! Asking a token server, once for all who need the same token.

use http::{HeaderValue, StatusCode, Uri, uri::PathAndQuery};
use tokio::time::Instant;

use crate::{
    artifactory::is_artifactory,
    credential::{Credential, Secret},
    error::{Error, ErrorKind},
    exchange::{Answer, Call, Question},
    fault::Fault,
    observer::Operation,
    place,
    proof::basic,
    scheme::Bearer,
    session::Session,
    token::{Token, TokenKey},
};

/// Who asks, as `OAuth2` wants to know it; it is no secret and registers nothing.
const CLIENT_ID: &str = "kube-autorollout";

impl Session<'_> {
    /// A token for the target, and whether it was kept from before. `stale` is one that the registry has refused.
    pub(crate) async fn fetch_token(
        &self,
        bearer: &Bearer,
        stale: Option<&Token>,
        call: &mut Call<'_>,
    ) -> Result<(Token, bool), Error> {
        let error = |fault| Error::new(self.host.origin.to_string(), fault);
        // Some servers read the first scope only, so the needed one leads.
        let mut scopes = vec![self.target.scope()];
        scopes.extend(bearer.scopes.iter().cloned());
        let credential = self.credential.map(Credential::fingerprint);
        let slot = self.tokens.slot(TokenKey::new(bearer, &scopes, credential));
        let mut slot = self.host.queue(slot.lock()).await.map_err(error)?;
        if let Some(token) = &*slot
            && token.is_usable(Instant::now())
            && stale.is_none_or(|stale| stale.authorization != token.authorization)
        {
            return Ok((token.clone(), true));
        }
        let token = match self.credential {
            None => self.request(bearer, &scopes, None, call).await?,
            Some(credential) => self.request_with(bearer, &scopes, credential, call).await?,
        };
        *slot = Some(token.clone());
        Ok((token, false))
    }

    /// Presents a credential to the token server, and takes note of what becomes of it.
    async fn request_with(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        credential: &Credential,
        call: &mut Call<'_>,
    ) -> Result<Token, Error> {
        let registry = &self.host.origin;
        let trial = self
            .quarantine
            .admit(registry, credential.fingerprint(), self.host)
            .await
            .map_err(|fault| Error::new(registry.to_string(), fault))?;
        let result = self.request(bearer, scopes, Some(credential), call).await;
        match &result {
            Ok(_) => trial.accept(),
            Err(error) => match error.kind() {
                ErrorKind::Unauthorized => trial.refuse(),
                // Not this repository, says GHCR already here.
                ErrorKind::Denied => {
                    trial.accept();
                    self.quarantine.refuse_repository(
                        registry,
                        &self.target.repository,
                        credential.fingerprint(),
                    );
                }
                _ => {}
            },
        }
        result
    }

    async fn request(
        &self,
        bearer: &Bearer,
        scopes: &[String],
        credential: Option<&Credential>,
        call: &mut Call<'_>,
    ) -> Result<Token, Error> {
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
        read(&answer, credential.is_some()).map_err(|fault| Error::answered(&answer, fault))
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
        let form = refresh_form(bearer, scopes, refresh_token);
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
        let error = |fault| Error::new(self.host.origin.to_string(), fault);
        let origin = place::check(&bearer.realm, &self.host.origin).map_err(error)?;
        let host = self.transport.host(&origin, call.rule);
        let question = Question {
            operation: Operation::Token,
            uri: uri.ok_or_else(|| error(Fault::TokenAnswer))?,
            authorization,
            unless: None,
            form: form.map(Into::into),
        };
        let result = self.transport.ask(&host, question, call).await;
        if let Err(error) = &result {
            // Who queues for the registry would only queue for its token server next.
            self.host.discourage(error.fault());
        }
        result
    }
}

/// The token in an answer.
fn read(answer: &Answer, had_credentials: bool) -> Result<Token, Fault> {
    match answer.status {
        StatusCode::OK => Token::read(&answer.body, Instant::now()),
        StatusCode::UNAUTHORIZED => Err(Fault::Unauthorized { had_credentials }),
        // Artifactory says so of a suspended login: as bad as a wrong password.
        StatusCode::FORBIDDEN if is_artifactory(&answer.headers) => {
            Err(Fault::Unauthorized { had_credentials })
        }
        StatusCode::FORBIDDEN => Err(Fault::Denied { had_credentials }),
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
fn refresh_form(bearer: &Bearer, scopes: &[String], refresh_token: &str) -> String {
    let mut fields = Fields::new(None);
    fields.0.append_pair("grant_type", "refresh_token");
    fields.service(bearer);
    fields
        .0
        .append_pair("client_id", CLIENT_ID)
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
