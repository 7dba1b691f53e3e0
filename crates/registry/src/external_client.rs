//! Single requests to other servers than registries: token services, webhooks, replicas. Connections are the same.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri, header::USER_AGENT};
use http_body_util::Full;
use tokio::time::timeout;

use crate::{
    certificate::Certificate,
    client::BuildError,
    error::{Error, repr::Repr},
    http::{body, proxy::Proxy, transport::Transport},
    origin::Origin,
};

/// The default limit of responses, in bytes. The largest response of a cloud, a token with many claims, has a tenth of it.
const MAX_BYTES: usize = 256 * 1024;

/// Sends single requests to other servers than registries, without retries, redirects or state other than connections.
#[derive(Clone)]
pub struct ExternalClient {
    transport: Transport,
    user_agent: HeaderValue,
}

/// A request. `Debug` shows neither the headers nor the body nor the query, which may be secret.
#[derive(Clone)]
#[must_use]
pub struct ExternalRequest {
    url: String,
    post: Option<Bytes>,
    headers: Vec<(String, String)>,
    timeout: Duration,
    max_bytes: usize,
}

/// A response with any status. `Debug` shows the status only.
#[derive(Clone)]
pub struct ExternalResponse {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl ExternalClient {
    /// A client that trusts the public roots and these certificates. `connect_timeout` is for name resolution, TCP and TLS
    /// together.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names the invalid setting.
    pub fn new<'c>(
        certificates: impl IntoIterator<Item = &'c Certificate>,
        proxy: Proxy,
        connect_timeout: Duration,
        user_agent: &str,
    ) -> Result<Self, BuildError> {
        let tls = Certificate::client_config(certificates.into_iter());
        let tls = tls.map_err(|error| BuildError::Tls(error.to_string()))?;
        let user_agent = HeaderValue::try_from(user_agent)
            .map_err(|_| BuildError::UserAgent(user_agent.to_owned()))?;
        Ok(Self {
            transport: Transport::new(tls, proxy, connect_timeout),
            user_agent,
        })
    }

    /// Sends a request and reads the response.
    ///
    /// # Errors
    ///
    /// See [`ErrorKind`](crate::ErrorKind): a timeout, a failed connection or TLS handshake, a response that is too large, or
    /// a malformed URL.
    pub async fn send(&self, request: ExternalRequest) -> Result<ExternalResponse, Error> {
        let (limit, max_bytes) = (request.timeout, request.max_bytes);
        let (host, request) = self.to_http(request)?;
        let exchange = async {
            let response = self.transport.send(request).await?;
            let (head, body) = response.into_parts();
            let body = body::read(body, max_bytes).await?;
            Ok(ExternalResponse {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        let result = timeout(limit, exchange).await;
        let result = result.unwrap_or(Err(Repr::Timeout { after: limit }));
        result.map_err(|repr| Error::new(host, repr))
    }

    fn to_http(
        &self,
        request: ExternalRequest,
    ) -> Result<(String, http::Request<Full<Bytes>>), Error> {
        let invalid = || Error::new("", Repr::InvalidReference("a malformed URL"));
        let uri: Uri = request.url.parse().map_err(|_| invalid())?;
        let host = Origin::of(&uri).ok_or_else(invalid)?.to_string();
        let method = match request.post {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let body = Full::new(request.post.unwrap_or_default());
        let mut sent = http::Request::new(body);
        *sent.method_mut() = method;
        *sent.uri_mut() = uri;
        let headers = sent.headers_mut();
        headers.insert(USER_AGENT, self.user_agent.clone());
        for (name, value) in request.headers {
            let unusable = || Error::new(&*host, Repr::InvalidReference("an unusable header"));
            let name = HeaderName::try_from(name).map_err(|_| unusable())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| unusable())?;
            value.set_sensitive(true); // kept out of the tables of HTTP/2, and of `Debug`
            headers.insert(name, value);
        }
        Ok((host, sent))
    }
}

impl ExternalRequest {
    /// A GET with a timeout.
    pub fn get(url: impl Into<String>, timeout: Duration) -> Self {
        Self {
            url: url.into(),
            post: None,
            headers: Vec::new(),
            timeout,
            max_bytes: MAX_BYTES,
        }
    }

    /// A POST with a timeout.
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>, timeout: Duration) -> Self {
        Self {
            post: Some(body.into()),
            ..Self::get(url, timeout)
        }
    }

    /// Limits the response to `bytes` instead of 256 KiB.
    pub fn max_bytes(self, bytes: usize) -> Self {
        Self {
            max_bytes: bytes,
            ..self
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl ExternalResponse {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of a header, if it is visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without copying it.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

impl fmt::Debug for ExternalClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExternalClient")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ExternalRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        write!(formatter, "ExternalRequest({url:?}, ..)")
    }
}

impl fmt::Debug for ExternalResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ExternalResponse({}, ..)", self.status)
    }
}
