//! Image references, as the `image` of a pod's container holds them.

use oci_spec::{distribution::ParseError, image::Digest};

use crate::Reference;

/// Why an image cannot be asked for at a registry.
///
/// The text never repeats the image: somebody may have put a password into what they thought is a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Nothing was given.
    #[error("cannot parse the image reference: it is empty")]
    Empty,
    /// It begins with `https://` or the like.
    #[error("cannot parse the image reference: it has a scheme; write registry/repository:tag")]
    Scheme,
    /// It is the local ID of an image on a node, not the name of one in a registry.
    #[error("cannot parse the image reference: an image ID names no registry")]
    ImageId,
    /// The repository has an upper-case letter, which no registry accepts.
    #[error("cannot parse the image reference: the repository must be lower-case")]
    UppercaseRepository,
    /// What follows the `@` is not a digest of SHA-256, SHA-384 or SHA-512 in lower-case hexadecimal digits.
    #[error("cannot parse the image reference: what follows the @ is not a digest")]
    Digest,
    /// The repository is longer than 255 characters.
    #[error("cannot parse the image reference: the repository is longer than 255 characters")]
    TooLong,
    /// It does not have the form of a reference.
    #[error("cannot parse the image reference: it is not of the form registry/repository:tag")]
    Form,
}

/// Parses the `image` of a container and completes it as container runtimes do: `nginx` is
/// `docker.io/library/nginx:latest`.
///
/// # Errors
///
/// [`InvalidReference`] for what no registry can be asked for. It is stricter than `oci-spec` where that would
/// take an image ID, a tag that is not ASCII, or an upper-case repository for a name on Docker Hub.
pub fn parse(image: &str) -> Result<Reference, InvalidReference> {
    if image.is_empty() {
        return Err(InvalidReference::Empty);
    }
    if image.contains("://") {
        return Err(InvalidReference::Scheme);
    }
    if is_image_id(image) {
        return Err(InvalidReference::ImageId);
    }
    if !image.is_ascii() {
        return Err(InvalidReference::Form);
    }
    let reference: Reference = image.parse().map_err(|error| match error {
        ParseError::DigestInvalidFormat
        | ParseError::DigestInvalidLength
        | ParseError::DigestUnsupported => InvalidReference::Digest,
        ParseError::NameContainsUppercase => InvalidReference::UppercaseRepository,
        ParseError::NameEmpty => InvalidReference::Empty,
        ParseError::NameTooLong => InvalidReference::TooLong,
        ParseError::ReferenceInvalidFormat | ParseError::TagInvalidFormat => InvalidReference::Form,
    })?;
    if reference
        .repository()
        .contains(|c: char| c.is_ascii_uppercase())
    {
        return Err(InvalidReference::UppercaseRepository);
    }
    if reference
        .digest()
        .is_some_and(|digest| digest.parse::<Digest>().is_err())
    {
        return Err(InvalidReference::Digest);
    }
    Ok(reference)
}

/// Whether the image is named by digest. Runtimes then ignore the tag, so it never moves.
pub fn is_pinned(reference: &Reference) -> bool {
    reference.digest().is_some()
}

/// Whether `image` is what runtimes take for the ID of an image: a digest alone, with or without its algorithm.
///
/// See <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>, `ParseNormalizedNamed`.
fn is_image_id(image: &str) -> bool {
    let hexadecimal = image.strip_prefix("sha256:").unwrap_or(image);
    hexadecimal.len() == 64 && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    #[test]
    fn an_image_is_completed_as_runtimes_do() {
        let pinned = format!("ghcr.io/team/web@sha256:{HEX}");
        let both = format!("ghcr.io/team/web:1@sha256:{HEX}");
        let cases = [
            ("nginx", "docker.io/library/nginx:latest"),
            ("team/web:1.2", "docker.io/team/web:1.2"),
            ("index.docker.io/team/web", "docker.io/team/web:latest"),
            ("localhost/web:A_b", "localhost/web:A_b"),
            (
                "registry.internal:5000/a/b/c",
                "registry.internal:5000/a/b/c:latest",
            ),
            (pinned.as_str(), pinned.as_str()),
            (both.as_str(), both.as_str()),
        ];
        for (image, whole) in cases {
            let reference = parse(image).unwrap_or_else(|error| panic!("{image}: {error}"));
            assert_eq!(reference.whole(), whole);
            assert_eq!(is_pinned(&reference), image.contains('@'), "{image}");
        }
    }

    #[test]
    fn what_no_registry_can_be_asked_for_is_refused() {
        let id = format!("sha256:{HEX}");
        let short_digest = format!("web@sha256:{}", &HEX[1..]);
        let uppercase_digest = format!("web@sha256:{}", HEX.to_uppercase());
        let long = format!("{}/web", "a".repeat(256));
        let cases = [
            ("", InvalidReference::Empty),
            ("https://ghcr.io/team/web", InvalidReference::Scheme),
            ("docker-pullable://nginx:1", InvalidReference::Scheme),
            (id.as_str(), InvalidReference::ImageId),
            (HEX, InvalidReference::ImageId),
            ("Team/web", InvalidReference::UppercaseRepository),
            ("ghcr.io/Team/web", InvalidReference::Form),
            ("web:größe", InvalidReference::Form),
            ("web:", InvalidReference::Form),
            (" web", InvalidReference::Form),
            ("web@sha256:12", InvalidReference::Form),
            ("[::1]:5000/web", InvalidReference::Form),
            (short_digest.as_str(), InvalidReference::Digest),
            (uppercase_digest.as_str(), InvalidReference::Digest),
            (long.as_str(), InvalidReference::TooLong),
        ];
        for (image, error) in cases {
            assert_eq!(parse(image), Err(error), "{image}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_reference_is_stable(image in "[a-zA-Z0-9._:/@-]{0,80}|\\PC{0,40}") {
            if let Ok(reference) = parse(&image) {
                prop_assert_eq!(parse(&reference.whole()), Ok(reference));
            }
        }
    }
}
