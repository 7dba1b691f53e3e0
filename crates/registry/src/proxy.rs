//! Proxies on the way to registries and token servers.

use std::sync::Arc;

use http::Uri;
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::Matcher,
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::{Service as _, ServiceExt as _};

use crate::{
    fault::Cause,
    options::{OptionsError, Proxy},
};

/// Which connections go through which proxy.
#[derive(Clone)]
pub(crate) struct Proxies {
    matcher: Arc<Matcher>,
}

impl Proxies {
    pub(crate) fn new(options: &Proxy) -> Result<Self, OptionsError> {
        // The matcher leaves out what it does not understand, and then nobody would know why there is no proxy.
        for (variable, address, place) in [
            ("https", &options.https, "https://registry"),
            ("http", &options.http, "http://registry"),
        ] {
            let matcher = Matcher::builder().all(address.as_str()).build();
            let proxy = matcher.intercept(&Uri::from_static(place));
            let usable = proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("http"));
            if !address.is_empty() && !usable {
                return Err(OptionsError::Proxy { variable });
            }
        }
        let mut matcher = Matcher::builder();
        // An asterisk means every host; the matcher would take it for every name and no address.
        if !options.no.split(',').any(|host| host.trim() == "*") {
            matcher = matcher
                .https(options.https.as_str())
                .http(options.http.as_str())
                .no(options.no.as_str());
        }
        let matcher = matcher.build();
        Ok(Self {
            matcher: Arc::new(matcher),
        })
    }

    /// A connection to the host of an address: direct, or a tunnel through its proxy.
    pub(crate) async fn connect(
        &self,
        mut tcp: HttpConnector,
        to: Uri,
    ) -> Result<TokioIo<TcpStream>, Cause> {
        let Some(proxy) = self.matcher.intercept(&to) else {
            tcp.ready().await?;
            return Ok(tcp.call(to).await?);
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        tunnel.ready().await?;
        Ok(tunnel.call(with_port(to)?).await?)
    }
}

/// A tunnel takes an address without a port for one of HTTPS.
fn with_port(to: Uri) -> Result<Uri, http::Error> {
    let mut parts = to.into_parts();
    if let (Some("http"), Some(authority)) = (
        parts.scheme.as_ref().map(http::uri::Scheme::as_str),
        &parts.authority,
    ) && authority.port().is_none()
    {
        parts.authority = Some(format!("{authority}:80").parse()?);
    }
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_leads_to_the_port_of_the_scheme() {
        let cases = [
            ("http://a.example/x", "http://a.example:80/x"),
            ("http://a.example:5000/", "http://a.example:5000/"),
            ("https://a.example/", "https://a.example/"),
        ];
        for (to, expected) in cases {
            let uri = with_port(Uri::from_static(to)).expect("an address");
            assert_eq!(uri.to_string(), expected);
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_and_its_login_is_not() {
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
            let options = Proxy {
                https: address.to_owned(),
                ..Proxy::default()
            };
            match Proxies::new(&options) {
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
