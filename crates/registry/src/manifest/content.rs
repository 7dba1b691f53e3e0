//! Validation of manifests: media type, encoding and digest.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use oci_spec::image::{Digest, DigestAlgorithm};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use serde::Deserialize;

use crate::error::repr::{Cause, Repr};

/// All four kinds, as containerd accepts them: with fewer, registries convert or select one platform, and the digest is
/// not the one that a node would pull.
pub(crate) const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json";

/// The limit of distribution; those of the runtimes are similar.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An index or a manifest, byte for byte as the registry stores it. It is not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The digest of `body`, verified.
    pub digest: Digest,
    /// One of the four kinds: a manifest or an index, of OCI or Docker.
    pub media_type: String,
    /// The content of the digest.
    pub body: Bytes,
}

/// The media type of a response, if it is one of the four kinds.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<String, Repr> {
    let media_type = content_type(headers);
    if ACCEPT.split(", ").any(|accepted| accepted == media_type) {
        if is_encoded(headers) {
            let found = format!("{media_type} in another encoding");
            return Err(Repr::UnsupportedMediaType { found });
        }
        return Ok(media_type);
    }
    if media_type.starts_with("application/vnd.docker.distribution.manifest.v1+") {
        return Err(Repr::Schema1);
    }
    let printable = media_type.chars().filter(char::is_ascii_graphic);
    Err(Repr::UnsupportedMediaType {
        found: if media_type.is_empty() {
            "of no media type".to_owned()
        } else {
            printable.take(100).collect()
        },
    })
}

/// Whether the headers leave the kind of the content open, as those of static storage and of servers that guess.
pub(crate) fn is_unspecific(headers: &HeaderMap) -> bool {
    let unspecific = [
        "",
        "application/json",
        "application/octet-stream",
        "binary/octet-stream",
        "text/plain",
    ];
    !is_encoded(headers) && unspecific.contains(&&*content_type(headers))
}

/// Whether the headers of a HEAD leave open what GET would return.
pub(crate) fn is_inconclusive(headers: &HeaderMap) -> bool {
    is_encoded(headers) || is_unspecific(headers)
}

/// `Content-Type` in lower case, without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value.unwrap_or_default());
    let media_type = value.split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

/// Whether a proxy compresses the content, which changes the bytes and thereby every digest.
fn is_encoded(headers: &HeaderMap) -> bool {
    let encoding = headers.get(CONTENT_ENCODING);
    encoding.is_some_and(|encoding| encoding.as_bytes() != b"identity")
}

/// The `mediaType` field of a manifest, if it is one of the four kinds.
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

/// The digest that the response claims, if its algorithm can be verified.
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

/// The digest of a manifest that was fetched by tag. The header is ignored, as too many registries get it wrong.
pub(crate) fn computed_digest(body: &[u8]) -> Result<Digest, Repr> {
    format!("sha256:{}", hex_digest(&SHA256, body))
        .parse()
        .map_err(|error| Repr::Transport(Cause::from(error).into()))
}

/// Checks the digest of a body. Digests of other algorithms cannot be verified and are refused.
pub(crate) fn verify(expected: &Digest, body: &[u8]) -> Result<(), Repr> {
    let algorithm = match expected.algorithm() {
        DigestAlgorithm::Sha256 => &SHA256,
        DigestAlgorithm::Sha384 => &SHA384,
        DigestAlgorithm::Sha512 => &SHA512,
        _ => return Err(Repr::InvalidReference("a digest that cannot be verified")),
    };
    let found = hex_digest(algorithm, body);
    if found == expected.digest() {
        return Ok(());
    }
    Err(Repr::DigestMismatch {
        expected: expected.to_string(),
        found: format!("{}:{found}", expected.algorithm()),
    })
}

fn hex_digest(algorithm: &'static Algorithm, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let digest = digest(algorithm, body);
    let bytes = digest.as_ref().iter();
    bytes.fold(String::new(), |mut text, byte| {
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

        let long = hex_digest(&SHA512, b"x");
        let digest: Digest = format!("sha512:{long}").parse().expect("a digest");
        assert!(verify(&digest, b"x").is_ok());
        let unknown: Digest = "blake3:abc".parse().expect("a digest");
        assert!(matches!(
            verify(&unknown, b"x"),
            Err(Repr::InvalidReference(_))
        ));
    }

    #[test]
    fn malformed_digest_headers_are_ignored() {
        for value in ["", "sha256:short", "latest", "sha256:", "foo:1"] {
            assert_eq!(
                claimed_digest(&headers(&[("docker-content-digest", value)])),
                None,
                "{value}"
            );
        }
    }
}
