//! Requests to servers that are no registries, such as those that issue credentials or keys. The connections are made as those
//! to registries.

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

/// The largest response that is read, in bytes, where the request permits no other. The largest of clouds, a token with many
/// claims, has a tenth of it.
const MAX_BYTES: usize = 256 * 1024;

/// Sends single requests: without retries, without following redirects, and without remembering anything but connections.
#[derive(Clone)]
pub struct TokenClient {
    transport: Transport,
    user_agent: HeaderValue,
}

/// One request. `Debug` shows neither headers nor the body nor the query, which may be secret.
#[derive(Clone)]
#[must_use]
pub struct TokenRequest {
    url: String,
    post: Option<Bytes>,
    headers: Vec<(String, String)>,
    timeout: Duration,
    longest: usize,
}

/// What was answered, whatever its status is. `Debug` shows the status only.
#[derive(Clone)]
pub struct TokenResponse {
    status: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl TokenClient {
    /// Trusts the public roots and these certificates. `connect_timeout` is for name resolution, TCP and TLS together.
    ///
    /// # Errors
    ///
    /// [`BuildError`] names what cannot be used.
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
    /// See [`ErrorKind`](crate::ErrorKind): a time-out, a failed connection or TLS handshake, a response that is too
    /// large, or a URL that is none.
    pub async fn send(&self, request: TokenRequest) -> Result<TokenResponse, Error> {
        let (limit, longest) = (request.timeout, request.longest);
        let (host, request) = self.to_http(request)?;
        let exchange = async {
            let response = self.transport.send(request).await?;
            let (head, body) = response.into_parts();
            let body = body::read(body, longest).await?;
            Ok(TokenResponse {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        let ended = timeout(limit, exchange).await;
        let ended = ended.unwrap_or(Err(Repr::Timeout { after: limit }));
        ended.map_err(|repr| Error::new(host, repr))
    }

    fn to_http(
        &self,
        request: TokenRequest,
    ) -> Result<(String, http::Request<Full<Bytes>>), Error> {
        let invalid = || Error::new("", Repr::InvalidReference("a URL that is none"));
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
            value.set_sensitive(true); // HTTP/2 keeps it out of its tables, and `Debug` does not show it
            headers.insert(name, value);
        }
        Ok((host, sent))
    }
}

impl TokenRequest {
    /// GET of a URL, which may take so long.
    pub fn get(url: impl Into<String>, timeout: Duration) -> Self {
        Self {
            url: url.into(),
            post: None,
            headers: Vec::new(),
            timeout,
            longest: MAX_BYTES,
        }
    }

    /// POST of a body to a URL, which may take so long.
    pub fn post(url: impl Into<String>, body: impl Into<Bytes>, timeout: Duration) -> Self {
        Self {
            post: Some(body.into()),
            ..Self::get(url, timeout)
        }
    }

    /// Reads a response of at most so many bytes, instead of 256 KiB.
    pub fn longest(self, bytes: usize) -> Self {
        Self {
            longest: bytes,
            ..self
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl TokenResponse {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, which is not copied.
    pub fn into_body(self) -> Bytes {
        self.body
    }
}

impl fmt::Debug for TokenClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenClient")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        write!(formatter, "TokenRequest({url:?}, ..)")
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenResponse({}, ..)", self.status)
    }
}
