//! What a manifest's answer must be like.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use oci_spec::image::{Digest, DigestAlgorithm};
use ring::digest::{SHA256, SHA384, SHA512, digest};
use serde::Deserialize;

use crate::error::repr::{Cause, Repr};

/// All four kinds, as containerd asks for them: with fewer, registries convert or pick one platform, and the digest is
/// not the one that a node would get.
pub(crate) const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json";

/// distribution's own limit; every runtime has about the same.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An index or a manifest, byte for byte as the registry has it. What is in it is for the caller to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest of `body`, verified.
    pub digest: Digest,
    /// One of the four kinds: a manifest or an index, of OCI or Docker.
    pub media_type: String,
    /// The bytes that the digest is of.
    pub body: Bytes,
}

/// The media type of a response, without parameters, if it is one of the four kinds.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<String, Repr> {
    let found = headers
        .get(CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    let found = String::from_utf8_lossy(found);
    let found = found
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if ACCEPT.split(", ").any(|accepted| accepted == found) {
        if is_encoded(headers) {
            return Err(Repr::UnsupportedMediaType {
                found: format!("{found} in another encoding"),
            });
        }
        return Ok(found);
    }
    if found.starts_with("application/vnd.docker.distribution.manifest.v1+") {
        return Err(Repr::Schema1);
    }
    Err(Repr::UnsupportedMediaType {
        found: if found.is_empty() {
            "of no media type".to_owned()
        } else {
            found
                .chars()
                .filter(char::is_ascii_graphic)
                .take(100)
                .collect()
        },
    })
}

/// Whether the headers say no more than that there are bytes, of whatever kind: static storage, and servers that guess.
pub(crate) fn is_unspecific(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = String::from_utf8_lossy(kind.unwrap_or_default()).to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let unspecific = [
        "",
        "application/json",
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",
    ];
    !is_encoded(headers) && unspecific.contains(&kind)
}

/// Whether the headers of a HEAD leave open what GET would bring.
pub(crate) fn tells_nothing(headers: &HeaderMap) -> bool {
    is_encoded(headers) || is_unspecific(headers)
}

/// Whether a proxy compresses what it passes on, which changes the bytes, and with them every digest.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    encoding.is_some_and(|encoding| encoding.as_bytes() != b"identity")
}

/// The media type that a manifest gives itself, if it is one of the four kinds.
pub(crate) fn own_media_type(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "mediaType")]
        media_type: String,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let known = ACCEPT.split(", ").any(|kind| kind == body.media_type);
    known.then_some(body.media_type)
}

/// The digest that the response claims, if it is one of an algorithm that can be verified.
pub(crate) fn claimed_digest(headers: &HeaderMap) -> Option<Digest> {
    let claimed = headers.get(DOCKER_CONTENT_DIGEST)?.to_str().ok()?;
    let digest: Digest = claimed.trim().parse().ok()?;
    let known = !matches!(digest.algorithm(), DigestAlgorithm::Other(_));
    known.then_some(digest)
}

/// The length that the response claims, in bytes.
pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The digest of a body that came by tag: the claimed header is not asked, as too many registries get it wrong.
pub(crate) fn computed_digest(body: &[u8]) -> Result<Digest, Repr> {
    format!("sha256:{}", hexadecimal(digest(&SHA256, body).as_ref()))
        .parse()
        .map_err(|error| Repr::Transport(Cause::from(error).into()))
}

/// Checks that a body is what its digest says. Other algorithms than these cannot be verified, and are refused.
pub(crate) fn verify(expected: &Digest, body: &[u8]) -> Result<(), Repr> {
    let algorithm = match expected.algorithm() {
        DigestAlgorithm::Sha256 => &SHA256,
        DigestAlgorithm::Sha384 => &SHA384,
        DigestAlgorithm::Sha512 => &SHA512,
        _ => return Err(Repr::InvalidReference("a digest that cannot be verified")),
    };
    let found = hexadecimal(digest(algorithm, body).as_ref());
    if found == expected.digest() {
        return Ok(());
    }
    Err(Repr::DigestMismatch {
        expected: expected.to_string(),
        found: format!("{}:{found}", expected.algorithm()),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_four_kinds_are_accepted_with_or_without_parameters() {
        for kind in ACCEPT.split(", ") {
            for written in [
                kind.to_owned(),
                format!("{kind}; charset=utf-8"),
                kind.to_uppercase(),
            ] {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, written.parse().expect("a header"));
                assert_eq!(media_type(&headers).expect(&written), kind);
            }
        }
        assert_eq!(ACCEPT.split(", ").count(), 4);
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let oci = "application/vnd.oci.image.manifest.v1+json";
        let cases: [(&[(&'static str, &'static str)], &str); 5] = [
            (&[], "of no media type"),
            (&[("content-type", "text/html")], "text/html"),
            (
                &[(
                    "content-type",
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                )],
                "schema 1",
            ),
            (
                &[(
                    "content-type",
                    "application/vnd.docker.distribution.manifest.v1+json",
                )],
                "schema 1",
            ),
            (
                &[("content-type", oci), ("content-encoding", "gzip")],
                "another encoding",
            ),
        ];
        for (lines, expected) in cases {
            let repr = media_type(&headers(lines)).expect_err(expected).to_string();
            assert!(repr.contains(expected), "{repr}");
        }
    }

    #[test]
    fn digests_are_computed_and_verified() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest = computed_digest(b"").expect("a digest");
        assert_eq!(digest.to_string(), format!("sha256:{empty}"));
        assert!(verify(&digest, b"").is_ok());
        assert!(matches!(
            verify(&digest, b"x"),
            Err(Repr::DigestMismatch { .. })
        ));

        let long = hexadecimal(ring::digest::digest(&SHA512, b"x").as_ref());
        let digest: Digest = format!("sha512:{long}").parse().expect("a digest");
        assert!(verify(&digest, b"x").is_ok());
        let unknown: Digest = "blake3:abc".parse().expect("a digest");
        assert!(matches!(
            verify(&unknown, b"x"),
            Err(Repr::InvalidReference(_))
        ));
    }

    #[test]
    fn malformed_claims_count_as_none() {
        for value in ["", "sha256:short", "latest", "sha256:", "foo:1"] {
            assert_eq!(
                claimed_digest(&headers(&[("docker-content-digest", value)])),
                None,
                "{value}"
            );
        }
    }
}
