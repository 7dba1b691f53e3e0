//! Requests to a registry as a pusher and a container runtime make them: one response at a time, authentication when it
//! is asked for, nothing retried.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, USER_AGENT, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::Value;

use super::{access::RegistryAccess, error::RequestError};

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A connection pool for one registry host.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    access: Arc<RegistryAccess>,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    user_agent: &'static str,
}

impl Client {
    /// A client whose requests carry this `User-Agent`, by which they can be recognized in a registry's log.
    pub(crate) fn new(
        access: RegistryAccess,
        user_agent: &'static str,
    ) -> Result<Self, RequestError> {
        let tls = tls_configuration(&access).map_err(|source| RequestError::Certificate {
            host: access.host.clone(),
            source,
        })?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            access: Arc::new(access),
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            user_agent,
        })
    }

    /// A run of requests that share one authentication, as a pull or a push does.
    pub(crate) const fn session(&self) -> Session<'_> {
        Session {
            client: self,
            authorization: None,
        }
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Response, RequestError> {
        let host = &self.access.host;
        let request: Request<Full<Bytes>> = request
            .header(USER_AGENT, self.user_agent)
            .body(Full::new(body))
            .map_err(|source| RequestError::Build {
                host: host.clone(),
                source,
            })?;
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let failed = |source| RequestError::Transport {
            method,
            host: host.clone(),
            path,
            source,
        };
        let (head, body) = match self.http.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => return Err(failed(Box::new(error))),
        };
        match body.collect().await {
            Ok(body) => Ok(Response {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            }),
            Err(error) => Err(failed(Box::new(error))),
        }
    }

    /// The value of `Authorization` that this challenge asks for, if there is one.
    async fn answer(&self, challenge: &str) -> Result<Option<HeaderValue>, RequestError> {
        let login = self.access.login.as_ref();
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Ok(login.and_then(basic));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(self.unauthenticated("neither Basic nor Bearer is offered"));
        }
        let token = self.token(parameters).await?;
        Ok(token.and_then(|token| secret_header(&format!("Bearer {token}"))))
    }

    /// A token of the server that the challenge names, or nothing when that server refuses the login
    /// (<https://distribution.github.io/distribution/spec/auth/token/>).
    async fn token(&self, challenge: &str) -> Result<Option<String>, RequestError> {
        let realm = parameter(challenge, "realm")
            .ok_or_else(|| self.unauthenticated("the challenge has no realm"))?;
        let query: Vec<String> = ["service", "scope"]
            .into_iter()
            .filter_map(|name| Some(format!("{name}={}", parameter(challenge, name)?)))
            .collect();
        let separator = if realm.contains('?') { '&' } else { '?' };
        let mut request = Request::builder().uri(format!("{realm}{separator}{}", query.join("&")));
        if let Some(login) = self.access.login.as_ref().and_then(basic) {
            request = request.header(AUTHORIZATION, login);
        }
        let response = self.send(request, Bytes::new()).await?;
        if response.status != StatusCode::OK {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&response.body)
            .map_err(|_| self.unauthenticated("the token server's response is not JSON"))?;
        ["token", "access_token"]
            .into_iter()
            .find_map(|name| answer.get(name)?.as_str())
            .map(|token| Some(token.to_owned()))
            .ok_or_else(|| self.unauthenticated("the token server's response has no token"))
    }

    fn unauthenticated(&self, problem: &'static str) -> RequestError {
        RequestError::Authentication {
            host: self.access.host.clone(),
            problem,
        }
    }
}

/// Requests that share one authentication.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    client: &'a Client,
    authorization: Option<HeaderValue>,
}

impl Session<'_> {
    /// One request, and a second one with credentials when the response to the first is a challenge.
    ///
    /// `target` is a path with an optional query, or the whole URL that the registry gave in a `Location`.
    pub(crate) async fn request(
        &mut self,
        method: &Method,
        target: &str,
        headers: &[(HeaderName, &str)],
        body: Bytes,
    ) -> Result<Response, RequestError> {
        let response = self
            .client
            .send(self.build(method, target, headers), body.clone())
            .await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(challenge) = response
            .headers
            .get(WWW_AUTHENTICATE)
            .and_then(|challenge| challenge.to_str().ok())
        else {
            return Ok(response);
        };
        match self.client.answer(challenge).await? {
            None => Ok(response),
            Some(authorization) => {
                self.authorization = Some(authorization);
                self.client
                    .send(self.build(method, target, headers), body)
                    .await
            }
        }
    }

    fn build(
        &self,
        method: &Method,
        target: &str,
        headers: &[(HeaderName, &str)],
    ) -> http::request::Builder {
        let access = &self.client.access;
        let absolute = target
            .parse::<Uri>()
            .is_ok_and(|target| target.scheme().is_some());
        let url = if absolute {
            target.to_owned()
        } else {
            format!("{}://{}{target}", access.scheme(), access.host)
        };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    /// The error for a response that was not expected.
    pub(crate) fn unexpected(
        &self,
        method: &Method,
        target: &str,
        response: &Response,
    ) -> RequestError {
        let path = target.split('?').next().unwrap_or_default();
        RequestError::Status {
            method: method.clone(),
            host: self.client.access.host.clone(),
            path: path.to_owned(),
            status: response.status,
        }
    }
}

/// TLS that trusts the registry's own CA and no other.
fn tls_configuration(
    access: &RegistryAccess,
) -> Result<ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_slice_iter(access.ca_certificate.as_deref().unwrap_or_default())
    {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The value of one parameter of a challenge that distribution wrote: quoted, without escapes.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
    challenge.get(start..)?.split('"').next()
}

/// The header of Basic authentication (<https://www.rfc-editor.org/rfc/rfc7617>).
fn basic((user, password): &(String, String)) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    secret_header(&format!("Basic {pair}"))
}

fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
