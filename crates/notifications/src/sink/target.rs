//! The URL of a sink, which is a secret.

use std::{fmt, net::IpAddr, str::FromStr};

use http::Uri;

/// The URL of a sink. Anybody who has it can send messages, so it is redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(String);

/// Why the URL of a sink is invalid. The message repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// It is not a URL.
    #[error("no http or https URL")]
    NotAUrl,
    /// It has a user name or password.
    #[error("a URL with a user name or password, which are not sent")]
    Login,
    /// The URL, which is a secret, and the message would be sent unencrypted.
    #[error(
        "an http URL of a host outside the cluster, where everybody on the way could read it; use https"
    )]
    Plain,
}

impl Target {
    /// The URL, for sending.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    /// Parses a URL. Surrounding white space, such as the newline at the end of a file, is removed.
    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let text = text.trim();
        let uri: Uri = text.parse().map_err(|_| InvalidTarget::NotAUrl)?;
        let authority = uri.authority().ok_or(InvalidTarget::NotAUrl)?;
        let host = authority.host();
        let scheme = uri.scheme_str();
        if host.is_empty() || !matches!(scheme, Some("http" | "https")) {
            return Err(InvalidTarget::NotAUrl);
        }
        if authority.as_str().contains('@') {
            return Err(InvalidTarget::Login);
        }
        if scheme == Some("http") && !is_local(host) {
            return Err(InvalidTarget::Plain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Whether a host is in the cluster or its network: a name without a dot, that of a Service
/// (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>), or a private address.
fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            !host.contains('.') || host.split('.').skip(2).any(|label| label == "svc")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_accepted_and_http_only_within_the_cluster() {
        let cases = [
            ("https://hooks.slack.com/services/T/B/x\n", None),
            (
                "https://prod.westeurope.logic.azure.com:443/workflows/a/triggers/manual/paths/invoke?sig=x",
                None,
            ),
            ("http://mattermost.chat.svc/hooks/x", None),
            (
                "http://mattermost.chat.svc.cluster.local:8065/hooks/x",
                None,
            ),
            ("http://receiver:8080/", None),
            ("http://127.0.0.1:8080/", None),
            ("http://[::1]:8080/", None),
            ("http://10.1.2.3/", None),
            ("http://hooks.slack.com/x", Some(InvalidTarget::Plain)),
            ("http://8.8.8.8/x", Some(InvalidTarget::Plain)),
            (
                "http://x.svc.example.org.evil.com/",
                Some(InvalidTarget::Plain),
            ),
            ("https://user:planted@receiver/", Some(InvalidTarget::Login)),
            ("ftp://receiver/", Some(InvalidTarget::NotAUrl)),
            ("receiver/hook", Some(InvalidTarget::NotAUrl)),
            ("https:///x", Some(InvalidTarget::NotAUrl)),
            ("https://a b/", Some(InvalidTarget::NotAUrl)),
            ("", Some(InvalidTarget::NotAUrl)),
        ];
        for (text, fault) in cases {
            assert_eq!(text.parse::<Target>().err(), fault, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_url_is_shown() {
        let target: Target = "https://receiver/planted".parse().expect("a URL");
        assert_eq!(format!("{target:?}"), "[redacted]");
        assert_eq!(target.expose(), "https://receiver/planted");
    }
}
