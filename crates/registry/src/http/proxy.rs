//! Proxies on the way to registries and token servers.
//!
//! HTTPS goes through a tunnel (CONNECT). Plain HTTP is sent to the proxy with the absolute URL: many proxies allow tunnels
//! to port 443 only.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use kube_autorollout_tls::Stream;
use tokio::net::TcpStream;
use tower::{Service as _, ServiceExt as _};

use super::no_proxy::NoProxy;
use crate::error::repr::Cause;

/// Headers of a proxy's own responses, not of those that it forwards: Squid's, and that of RFC 9209.
const PROXY_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-squid-error"),
    HeaderName::from_static("proxy-status"),
];

/// The proxies of connections. Their URLs may hold a login, so `Debug` does not show them.
#[derive(Clone)]
pub struct Proxy {
    rules: Arc<Rules>,
}

/// An unsupported URL of a proxy. It may hold a login, so it is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("the proxy for {scheme} must be an address like http://host:port")]
pub struct InvalidProxy {
    /// The scheme of the proxied requests: `https` or `http`.
    pub scheme: &'static str,
}

struct Rules {
    proxies: Matcher,
    no_proxy: NoProxy,
}

/// A failure to connect to the proxy, or of the proxy itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("the proxy {proxy} cannot be reached")]
    Unreachable { proxy: String, source: Cause },
    #[error("the proxy {proxy} refuses: {reason}")]
    Refused { proxy: String, reason: String },
}

impl Proxy {
    /// Proxies from the values of the environment variables `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; empty: none. The
    /// scheme of a proxy is `http://` or omitted, and its URL may hold a login. `no` is a comma-separated list of hosts,
    /// domains, addresses and networks without a proxy.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] if a URL cannot be used.
    pub fn from_env_values(https: &str, http: &str, no: &str) -> Result<Self, InvalidProxy> {
        // The matcher silently ignores URLs that it does not support.
        for (scheme, address, uri) in [
            ("https", https, "https://registry"),
            ("http", http, "http://registry"),
        ] {
            let matcher = Matcher::builder().all(address).build();
            let proxy = matcher.intercept(&Uri::from_static(uri));
            let usable = proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("http"));
            if !address.is_empty() && !usable {
                return Err(InvalidProxy { scheme });
            }
        }
        let proxies = Matcher::builder().https(https).http(http).build();
        Ok(Self::new(proxies, NoProxy::parse(no)))
    }

    fn new(proxies: Matcher, no_proxy: NoProxy) -> Self {
        let rules = Arc::new(Rules { proxies, no_proxy });
        Self { rules }
    }

    /// Connects to a server: directly, to the proxy that forwards requests, or through its tunnel.
    pub(crate) async fn connect(&self, mut tcp: HttpConnector, to: Uri) -> Result<Stream, Cause> {
        let Some(proxy) = self.proxy(&to) else {
            tcp.ready().await?;
            return Ok(Stream::to_server(tcp.call(to).await?));
        };
        Ok(if is_forwarded(&to) {
            Stream::to_proxy(connect(tcp, &proxy).await?)
        } else {
            Stream::to_server(tunnel(tcp, &proxy, to).await?)
        })
    }

    /// The `Proxy-Authorization` of a forwarded request.
    pub(crate) fn authorization(&self, to: &Uri) -> Option<HeaderValue> {
        let proxy = self.proxy(to).filter(|_| is_forwarded(to))?;
        proxy.basic_auth().cloned()
    }

    /// The proxy's own refusal, if the response is not the server's.
    pub(crate) fn refusal(
        &self,
        to: &Uri,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<ProxyError> {
        let proxy = self.proxy(to).filter(|_| is_forwarded(to))?;
        let is_own = status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            || (!status.is_success()
                && PROXY_HEADERS.iter().any(|name| headers.contains_key(name)));
        is_own.then(|| ProxyError::Refused {
            proxy: name(&proxy),
            reason: format!("status {}", status.as_u16()),
        })
    }

    fn proxy(&self, to: &Uri) -> Option<Intercept> {
        if self.rules.no_proxy.contains(to) {
            return None;
        }
        self.rules.proxies.intercept(to)
    }
}

impl Default for Proxy {
    /// No proxy.
    fn default() -> Self {
        Self::new(Matcher::builder().build(), NoProxy::default())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Proxy").finish_non_exhaustive()
    }
}

/// Whether the proxy forwards requests to a URL instead of tunneling.
fn is_forwarded(to: &Uri) -> bool {
    to.scheme_str() == Some("http")
}

async fn connect(mut tcp: HttpConnector, proxy: &Intercept) -> Result<TokioIo<TcpStream>, Cause> {
    tcp.ready().await?;
    let connected = tcp.call(proxy.uri().clone()).await;
    Ok(connected.map_err(|error| ProxyError::Unreachable {
        proxy: name(proxy),
        source: error.into(),
    })?)
}

async fn tunnel(
    tcp: HttpConnector,
    proxy: &Intercept,
    to: Uri,
) -> Result<TokioIo<TcpStream>, Cause> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
    if let Some(login) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    tunnel.ready().await?;
    let connected = tunnel.call(to).await;
    Ok(connected.map_err(|error| {
        let (proxy, reason) = (name(proxy), error.to_string());
        // An error with a source is of the network, any other the proxy's response.
        if std::error::Error::source(&error).is_some() {
            let source = error.into();
            ProxyError::Unreachable { proxy, source }
        } else {
            ProxyError::Refused { proxy, reason }
        }
    })?)
}

/// The host of a proxy, without its login.
fn name(proxy: &Intercept) -> String {
    let authority = proxy.uri().authority();
    authority.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_an_invalid_proxy_does_not_show_its_login() {
        let cases = [
            ("http://proxy:3128", true),
            ("proxy:3128", true),
            ("http://user:planted@proxy:3128", true),
            ("", true),
            ("socks5://user:planted@proxy:1080", false),
            ("https://user:planted@proxy:3129", false),
            ("://planted", false),
        ];
        for (address, usable) in cases {
            match Proxy::from_env_values(address, "", "") {
                Ok(_) => assert!(usable, "{address}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!usable && text.contains("https"), "{address}: {text}");
                    assert!(!text.contains("planted"), "{text}");
                }
            }
        }
    }
}
