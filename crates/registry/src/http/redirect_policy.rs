//! Which URLs of a server are followed: realms of token servers and targets of redirects.
//!
//! A registry can name any address, and inside a cluster make the client send requests to servers that only it can reach
//! (SSRF). So addresses of private networks are followed only on the registry's own host.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use url::{Host, Url};

use crate::{error::repr::Repr, origin::Origin};

/// The origin of a URL that `registry` names, if it is followed.
///
/// Names are not resolved: a token server with a name in a private network is normal.
pub(crate) fn check(target: &Uri, registry: &Origin) -> Result<Origin, Repr> {
    let refused = |reason| Repr::RedirectRefused {
        // Never the path and query, which may hold a signature.
        to: target.authority().map_or_else(String::new, |authority| {
            let host = authority.as_str();
            host.rsplit('@').next().unwrap_or(host).to_owned()
        }),
        reason,
    };
    let origin =
        Origin::of(target).ok_or_else(|| refused("it is no plain http or https address"))?;
    if registry.secure && !origin.secure {
        return Err(refused("it is not encrypted, and the registry is"));
    }
    if origin.host != registry.host && is_private(&origin.host) {
        return Err(refused("it is an address of a private network"));
    }
    Ok(origin)
}

/// Resolves a `Location` against the URL of its request, without the fragment.
pub(crate) fn join(base: &Uri, location: &str) -> Option<Uri> {
    let mut joined = Url::parse(&base.to_string()).ok()?.join(location).ok()?;
    joined.set_fragment(None);
    joined.as_str().parse().ok()
}

/// Whether a host is an address of a private network, in any notation that a resolver accepts.
fn is_private(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => is_private_v4(address),
        Ok(Host::Ipv6(address)) => is_private_v6(address),
        Ok(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        // Public names are never malformed, ending in a number for example.
        Err(_) => true,
    }
}

/// Networks that are not public, by first address and prefix length
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>).
const PRIVATE_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10), // shared between carriers and their customers
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the platform of Azure
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24), // with the instance metadata of Oracle Cloud
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The same (<https://www.iana.org/assignments/iana-ipv6-special-registry>).
const PRIVATE_V6: [(Ipv6Addr, u32); 11] = [
    (Ipv6Addr::UNSPECIFIED, 127), // and loopback
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), // unique local
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), // link-local
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), // multicast
];

fn is_private_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let mut networks = PRIVATE_V4.iter();
    networks.any(|(network, prefix)| (bits ^ network.to_bits()).leading_zeros() >= *prefix)
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let mut networks = PRIVATE_V6.iter();
    networks.any(|(network, prefix)| (bits ^ network.to_bits()).leading_zeros() >= *prefix)
        || embedded(address).is_some_and(is_private_v4)
}

/// The IPv4 address that is embedded in an IPv6 address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // NAT64 and 6to4
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some(of(high, low)),
        _ => address.to_ipv4(), // ::a.b.c.d and ::ffff:a.b.c.d
    }
}

#[cfg(test)]
mod tests;
