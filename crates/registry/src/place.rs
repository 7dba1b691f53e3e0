//! Where a server may send us: realms of token servers and targets of redirects.
//!
//! A registry that we were told to ask can name any address. Inside a cluster that is a way to make us ask servers that
//! only we can reach, so addresses of private networks are followed only on the registry's own host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

use crate::{fault::Fault, target::Origin};

/// The origin of a place that `registry` points at, if we go there.
///
/// Names are not resolved: a token server with a name in a private network is normal.
pub(crate) fn check(place: &Uri, registry: &Origin) -> Result<Origin, Fault> {
    let refused = |reason| Fault::RedirectRefused {
        // Never the path and query, which may hold a signature.
        place: place.authority().map_or_else(String::new, |authority| {
            let host = authority.as_str();
            host.rsplit('@').next().unwrap_or(host).to_owned()
        }),
        reason,
    };
    let origin =
        Origin::of(place).ok_or_else(|| refused("it is no plain http or https address"))?;
    if registry.secure && !origin.secure {
        return Err(refused("it is not encrypted, and the registry is"));
    }
    if origin.host != registry.host && is_private(&origin.host) {
        return Err(refused("it is an address of a private network"));
    }
    Ok(origin)
}

/// Joins the address of a request and the `Location` of its answer; fragments are dropped.
pub(crate) fn join(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let joined = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base.path().rsplit_once('/')?.0;
        format!("{scheme}://{authority}{folder}/{location}")
    };
    joined.parse().ok()
}

/// Whether a host is an address, in any form that a resolver takes for one, of a network that is not public.
fn is_private(host: &str) -> bool {
    if host == "localhost" || host.ends_with(".localhost") {
        return true;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => is_private_v6(address),
        // Resolvers read 2130706433, 0x7f.1 and 127.1 as addresses; no public name ends in a number.
        Err(_) => host
            .trim_end_matches('.')
            .rsplit('.')
            .next()
            .is_some_and(is_number),
    }
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    hexadecimal || (!label.is_empty() && label.bytes().all(|digit| digit.is_ascii_digit()))
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || a == 0
        || (a == 100 && (64..128).contains(&b)) // RFC 6598, shared between carriers and their customers
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    // ::a.b.c.d and ::ffff:a.b.c.d are IPv4 addresses in other clothes.
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4().is_some_and(is_private_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(registry: &str, place: &str) -> bool {
        let registry = Origin::of(&registry.parse().expect("a registry")).expect("an origin");
        check(&place.parse().expect("a place"), &registry).is_ok()
    }

    #[test]
    fn places_are_followed_unless_they_weaken_or_reach_inside() {
        let cases = [
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
                true,
            ),
            ("https://git.example", "https://git.example/jwt/auth", true),
            ("https://git.example", "http://git.example/jwt/auth", false),
            ("http://git.internal", "http://auth.internal/token", true),
            (
                "https://git.example",
                "https://user:password@git.example/",
                false,
            ),
            ("https://git.example", "https://127.0.0.1/token", false),
            ("https://git.example", "https://localhost/token", false),
            (
                "https://git.example",
                "https://169.254.169.254/latest",
                false,
            ),
            ("https://git.example", "https://10.0.0.1/token", false),
            ("https://git.example", "https://192.168.1.1/token", false),
            ("https://git.example", "https://100.64.0.1/token", false),
            ("https://git.example", "https://0.0.0.0/token", false),
            ("https://git.example", "https://2130706433/token", false),
            ("https://git.example", "https://0x7f000001/token", false),
            ("https://git.example", "https://127.1/token", false),
            ("https://git.example", "https://[::1]/token", false),
            (
                "https://git.example",
                "https://[::ffff:10.0.0.1]/token",
                false,
            ),
            ("https://git.example", "https://[fd00::1]/token", false),
            ("https://git.example", "https://[fe80::1]/token", false),
            ("https://git.example", "https://93.184.216.34/token", true),
            ("https://10.0.0.1:5000", "https://10.0.0.1:5001/token", true),
            (
                "https://10.0.0.1:5000",
                "https://10.0.0.2:5000/token",
                false,
            ),
            ("https://localhost:5000", "https://localhost/token", true),
        ];
        for (registry, place, expected) in cases {
            assert_eq!(allowed(registry, place), expected, "{registry} → {place}");
        }
    }

    #[test]
    fn a_refused_place_is_named_without_login_path_and_query() {
        let registry = Origin::of(&Uri::from_static("https://git.example")).expect("an origin");
        let place = Uri::from_static("http://user:planted@10.0.0.1/planted?signature=planted");
        let fault = check(&place, &registry).expect_err("a refusal").to_string();
        assert!(
            fault.contains("10.0.0.1") && !fault.contains("planted"),
            "{fault}"
        );
    }

    #[test]
    fn locations_are_joined_with_the_address_of_the_request() {
        let base = Uri::from_static("https://a.example:5000/v2/x/manifests/1?q=1");
        let cases = [
            ("https://b.example/y", Some("https://b.example/y")),
            ("//b.example/y?z", Some("https://b.example/y?z")),
            ("/y#part", Some("https://a.example:5000/y")),
            ("2", Some("https://a.example:5000/v2/x/manifests/2")),
            ("https://", None),
        ];
        for (location, expected) in cases {
            let joined = join(&base, location).map(|uri| uri.to_string());
            assert_eq!(joined.as_deref(), expected, "{location}");
        }
    }
}
