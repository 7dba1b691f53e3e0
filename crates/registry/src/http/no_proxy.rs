//! Hosts without a proxy: `NO_PROXY` by the rules of Go, as for container runtimes and the kubelet
//! (<https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config>).

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

/// The hosts in `NO_PROXY`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// `*`
    Any,
    Network(IpNet),
    Address {
        address: IpAddr,
        /// None: every port.
        port: Option<String>,
    },
    Domain {
        /// In lower case, with a leading dot.
        suffix: String,
        /// The domain itself matches, too, not only its subdomains.
        itself: bool,
        port: Option<String>,
    },
}

impl NoProxy {
    /// Parses a comma-separated list. Malformed entries are ignored, as in Go.
    pub(crate) fn parse(list: &str) -> Self {
        let entries = list.split(',').map(|entry| entry.trim().to_lowercase());
        Self {
            entries: entries.filter_map(|entry| Entry::parse(&entry)).collect(),
        }
    }

    /// Whether a URL is requested without a proxy. Loopback always is.
    pub(crate) fn contains(&self, to: &Uri) -> bool {
        let Some(host) = to.host() else {
            return false;
        };
        let host = host.to_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = bare
            .parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical());
        if bare == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let default = if to.scheme_str() == Some("http") {
            "80"
        } else {
            "443"
        };
        let port = to.port();
        let port = port.as_ref().map_or(default, |port| port.as_str());
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.matches(bare, address, port))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        if let Ok(network) = text.parse() {
            return Some(Self::Network(network));
        }
        let (host, port) = split(text);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Some(Self::Address { address, port });
        }
        let host = match host.strip_prefix('*') {
            Some(below) if below.starts_with('.') => below,
            _ => host,
        };
        if host.trim_start_matches('.').is_empty() {
            return None;
        }
        let itself = !host.starts_with('.');
        Some(Self::Domain {
            suffix: format!("{}{host}", if itself { "." } else { "" }),
            itself,
            port,
        })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let is_port =
            |wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| wanted == port);
        match self {
            Self::Any => true,
            Self::Network(network) => address.is_some_and(|address| network.contains(&address)),
            Self::Address { address: own, port } => address == Some(*own) && is_port(port),
            Self::Domain {
                suffix,
                itself,
                port,
            } => {
                let is_domain = *itself && suffix.strip_prefix('.') == Some(host);
                address.is_none() && (is_domain || host.ends_with(suffix)) && is_port(port)
            }
        }
    }
}

/// Splits an entry into host and port. An IPv6 address has a port only in brackets.
fn split(entry: &str) -> (&str, Option<String>) {
    match entry.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':') || (host.starts_with('[') && host.ends_with(']')) =>
        {
            (host, (!port.is_empty()).then(|| port.to_owned()))
        }
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_as_in_go() {
        // The first rows are those of Go's own test, TestUseProxy in http/httpproxy of golang.org/x/net.
        let list = "foobar.com, .barbaz.net, *.wildcard.io, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, \
                    2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";
        let cases = [
            ("http://localhost", true),
            ("http://127.0.0.1", true),
            ("http://127.0.0.2:5000", true),
            ("https://[::1]:5000", true),
            ("https://[::ffff:127.0.0.1]", true),
            ("http://[::2]", false),
            ("http://192.168.1.1", true),
            ("https://192.168.1.1:5000", true),
            ("http://192.168.1.2", false),
            ("http://192.168.1.2:81", true),
            ("http://192.168.1.3", true),
            ("https://192.168.1.3", false),
            ("http://192.168.1.4", false),
            ("http://10.0.0.2", true),
            ("http://10.0.0.4", false),
            ("http://[2001:db8::52:0:1]", true),
            ("https://[2001:db8::52:0:2]", true),
            ("http://[2001:db8::52:0:2]", false),
            ("http://[2001:db8::52:0:3]", true),
            ("http://[2002:db8:a::123]", true),
            ("http://[fe80::424b:c8be:1643:a1b6]", false),
            ("http://barbaz.net", false),
            ("http://www.barbaz.net", true),
            ("http://foobar.com", true),
            ("http://www.foobar.com", true),
            ("https://WWW.FooBar.com:5000", true),
            ("http://foofoobar.com", false),
            ("http://baz.com", false),
            ("http://localhost.net", false),
            ("http://local.localhost", false),
            ("http://barbarbaz.net", false),
            ("http://www.wildcard.io", true),
            ("http://nested.www.wildcard.io", true),
            ("http://wildcard.io", false),
            ("http://awildcard.io", false),
        ];
        let no_proxy = NoProxy::parse(list);
        for (address, exempt) in cases {
            let uri = address.parse().expect("an address");
            assert_eq!(no_proxy.contains(&uri), exempt, "{address}");
        }
    }

    #[test]
    fn ports_wildcards_and_malformed_entries_are_parsed_as_in_go() {
        let cases = [
            (
                "registry.internal:5000",
                "https://registry.internal:5000",
                true,
            ),
            ("registry.internal:5000", "https://registry.internal", false),
            (
                "registry.internal:5000",
                "https://a.registry.internal:5000",
                true,
            ),
            ("registry.internal:", "https://registry.internal:5000", true),
            ("*.corp.example:443", "https://registry.corp.example", true),
            ("*.corp.example:443", "http://registry.corp.example", false),
            ("*.corp.example", "https://registry.corp.example:5000", true),
            (".corp.example:80", "http://registry.corp.example", true),
            ("*", "https://a.example", true),
            ("a.example, *", "https://10.0.0.1", true),
            ("", "https://a.example", false),
            (" , ,", "https://a.example", false),
            (":443", "https://a.example", false),
            (".", "https://a.example.", false),
            ("*.", "https://a.example.", false),
            // a name in a list is no suffix of an address
            (".1", "https://10.0.0.1", false),
            ("[2001:db8::1]", "https://[2001:db8::1]:5000", true),
        ];
        for (list, address, exempt) in cases {
            let uri = address.parse().expect("an address");
            assert_eq!(
                NoProxy::parse(list).contains(&uri),
                exempt,
                "{list}: {address}"
            );
        }
    }
}
