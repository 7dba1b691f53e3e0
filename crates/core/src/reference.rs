//! Image references, as the `image` of a pod's container holds them.

use std::net::Ipv6Addr;

use oci_spec::image::DigestAlgorithm;

use crate::{Digest, Reference};

/// The registry of images that name none.
const DOCKER_HUB: &str = "docker.io";

/// Its former name.
const DOCKER_HUB_ALIAS: &str = "index.docker.io";

/// The prefix of its repositories that have a single component.
const OFFICIAL: &str = "library/";

/// The tag of images that have neither tag nor digest.
const LATEST: &str = "latest";

/// In characters.
const MAX_REPOSITORY: usize = 255;

/// In characters.
const MAX_TAG: usize = 128;

/// Why an image reference is invalid.
///
/// The message never repeats the image: somebody may have put a password into a supposed URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidReference {
    /// It is empty.
    #[error("cannot parse the image reference: it is empty")]
    Empty,
    /// It has a scheme such as `https://`.
    #[error("cannot parse the image reference: it has a scheme; write registry/repository:tag")]
    Scheme,
    /// It is the ID of an image on a node, which names no registry.
    #[error("cannot parse the image reference: an image ID names no registry")]
    ImageId,
    /// The repository has an upper-case letter.
    #[error("cannot parse the image reference: the repository must be lower-case")]
    UppercaseRepository,
    /// The part after `@` is not a digest: SHA-256, SHA-384 or SHA-512 in lower-case hexadecimal digits.
    #[error("cannot parse the image reference: what follows the @ is not a digest")]
    Digest,
    /// The repository is longer than 255 characters.
    #[error("cannot parse the image reference: the repository is longer than 255 characters")]
    TooLong,
    /// It is malformed otherwise.
    #[error("cannot parse the image reference: it is not of the form registry/repository:tag")]
    Form,
}

/// Parses the `image` of a container and completes it as container runtimes do: `nginx` is
/// `docker.io/library/nginx:latest`.
///
/// It implements the grammar of <https://github.com/distribution/reference/blob/v0.6.0/reference.go> by hand: the compiled
/// regular expression of `oci-spec` takes more memory than a thousand workloads.
///
/// # Errors
///
/// [`InvalidReference`] for anything that cannot be requested from a registry.
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
    let (image, digest) = match image.split_once('@') {
        Some((image, digest)) => (image, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = split_tag(image);
    if !tag.is_none_or(is_tag) {
        return Err(InvalidReference::Form);
    }
    let (registry, repository) = split_registry(name)?;
    if !digest.is_none_or(is_digest) {
        return Err(InvalidReference::Digest);
    }
    let tag = tag.map(str::to_owned);
    Ok(match (tag, digest.map(str::to_owned)) {
        (tag, None) => Reference::with_tag(
            registry,
            repository,
            tag.unwrap_or_else(|| LATEST.to_owned()),
        ),
        (None, Some(digest)) => Reference::with_digest(registry, repository, digest),
        (Some(tag), Some(digest)) => {
            Reference::with_tag_and_digest(registry, repository, tag, digest)
        }
    })
}

/// The name and the tag; a colon before a slash belongs to a port.
fn split_tag(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// The registry and the repository: the first component is a registry if it has that form, as in
/// `splitDockerDomain` of <https://github.com/distribution/reference/blob/v0.6.0/normalize.go>.
fn split_registry(name: &str) -> Result<(String, String), InvalidReference> {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => {
            if !is_registry(first) {
                return Err(InvalidReference::Form);
            }
            (first, rest)
        }
        _ => (DOCKER_HUB, name),
    };
    let registry = if registry == DOCKER_HUB_ALIAS {
        DOCKER_HUB
    } else {
        registry
    };
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(InvalidReference::UppercaseRepository);
    }
    if !repository.split('/').all(is_path_component) {
        return Err(InvalidReference::Form);
    }
    let official = registry == DOCKER_HUB && !repository.contains('/');
    let prefix = if official { OFFICIAL } else { "" };
    let repository = format!("{prefix}{repository}");
    if repository.len() > MAX_REPOSITORY {
        return Err(InvalidReference::TooLong);
    }
    Ok((registry.to_owned(), repository))
}

/// Whether `text` is a digest of a registered algorithm
/// (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms>).
fn is_digest(text: &str) -> bool {
    let digest = text.parse::<Digest>();
    digest.is_ok_and(|digest| !matches!(digest.algorithm(), DigestAlgorithm::Other(_)))
}

/// Whether `text` is `host` or `host:port`: the host is an IPv6 address in brackets, or its labels begin and end with a letter
/// or digit.
fn is_registry(text: &str) -> bool {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_address = address.parse::<Ipv6Addr>().is_ok();
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(inner)
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `text` consists of lower-case letters and digits, separated by `.`, `_`, `__` or hyphens.
fn is_path_component(text: &str) -> bool {
    let is_word = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    text.starts_with(is_word) && text.ends_with(is_word) && text.split(is_word).all(is_separator)
}

/// Whether `text` has up to 128 letters, digits, `_`, `.` and `-`, the first of them neither `.` nor `-`
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>).
fn is_tag(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=MAX_TAG).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(allowed)
}

/// Whether the image has a digest. Runtimes then ignore the tag, so it never moves.
pub fn has_digest(reference: &Reference) -> bool {
    reference.digest().is_some()
}

/// Whether runtimes treat `image` as an image ID: a digest alone, with or without its algorithm.
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
        let by_digest = format!("ghcr.io/team/web@sha256:{HEX}");
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
            ("[::1]/web", "[::1]/web:latest"),
            ("[fd00::10]:5000/a/web:1", "[fd00::10]:5000/a/web:1"),
            (by_digest.as_str(), by_digest.as_str()),
            (both.as_str(), both.as_str()),
        ];
        for (image, whole) in cases {
            let reference = parse(image).unwrap_or_else(|error| panic!("{image}: {error}"));
            assert_eq!(reference.whole(), whole);
            assert_eq!(has_digest(&reference), image.contains('@'), "{image}");
        }
    }

    #[test]
    fn invalid_references_are_rejected() {
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
            ("ghcr.io/Team/web", InvalidReference::UppercaseRepository),
            ("web:größe", InvalidReference::Form),
            ("web:", InvalidReference::Form),
            (" web", InvalidReference::Form),
            ("web@sha256:12", InvalidReference::Digest),
            ("[::1]", InvalidReference::Form),
            ("[::1]:/web", InvalidReference::Form),
            ("[::1]x:5000/web", InvalidReference::Form),
            ("[::1:5000/web", InvalidReference::Form),
            ("[::g]/web", InvalidReference::Form),
            ("[fe80::1%25eth0]/web", InvalidReference::Form),
            ("[127.0.0.1]/web", InvalidReference::Form),
            ("::1/web", InvalidReference::Form),
            ("web:.1", InvalidReference::Form),
            ("a..b/web", InvalidReference::Form),
            ("a.-b/web", InvalidReference::Form),
            ("a:b/web", InvalidReference::Form),
            ("a_b.c/web", InvalidReference::Form),
            ("web/", InvalidReference::Form),
            ("we___b", InvalidReference::Form),
            (
                "web@md5:6c3c624b58dbbcd3c0dd82b4c53f0419",
                InvalidReference::Digest,
            ),
            (short_digest.as_str(), InvalidReference::Digest),
            (uppercase_digest.as_str(), InvalidReference::Digest),
            (long.as_str(), InvalidReference::TooLong),
        ];
        for (image, error) in cases {
            assert_eq!(parse(image), Err(error), "{image}");
        }
    }

    /// The parser whose regular expression we do without. It takes no IPv6 addresses, which runtimes do.
    fn parsed_by_oci_spec(image: &str) -> Option<Reference> {
        let reference: Reference = image.parse().ok()?;
        let upper_case = |c: char| c.is_ascii_uppercase();
        // A registry such as `a_b.c`, which no host can be called, it takes from what has the form of a repository.
        let refused = is_image_id(image)
            || !is_registry(reference.registry())
            || !image.is_ascii()
            || reference.repository().contains(upper_case)
            || reference.digest().is_some_and(|digest| !is_digest(digest));
        (!refused).then_some(reference)
    }

    proptest! {
        #[test]
        fn what_has_the_form_of_a_reference_is_read_as_by_oci_spec(
            image in "((a|B|a[.]b|a-[.]|localhost|docker[.]io|index[.]docker[.]io|h:5000|h:)/)?\
                      [a-z0-9]{1,3}([._/-]{1,3}[a-z0-9]{1,3}){0,3}(:[.A-Za-z0-9_-]{0,4})?\
                      (@sha256:[0-9a-f]{64}|@sha512:[0-9a-fA-F]{128}|@[a-z0-9+]{1,9}:[0-9a-f]{32})?"
        ) {
            prop_assert_eq!(parse(&image).ok(), parsed_by_oci_spec(&image), "{}", image);
        }

        #[test]
        fn anything_else_is_read_as_by_oci_spec_too(image in "[a-zA-Z0-9._:/@-]{0,40}|\\PC{0,20}") {
            prop_assume!(!image.starts_with('['));
            prop_assert_eq!(parse(&image).ok(), parsed_by_oci_spec(&image), "{}", image);
        }

        #[test]
        fn an_ipv6_address_is_read_as_a_name_in_its_place(
            address in any::<[u16; 8]>(),
            rest in "(:[0-9]{0,4})?/[a-z0-9]{1,3}([._/-]{1,3}[a-z0-9]{1,3}){0,3}(:[.A-Za-z0-9_-]{0,4})?"
        ) {
            let host = format!("[{}]", Ipv6Addr::from(address));
            let parsed = parse(&format!("{host}{rest}")).map(|reference| reference.whole());
            let named = parse(&format!("a.b{rest}")).map(|reference| reference.whole());
            prop_assert_eq!(parsed, named.map(|whole| whole.replacen("a.b", &host, 1)));
        }

        #[test]
        fn a_parsed_reference_is_stable(image in "[a-zA-Z0-9._:/@-]{0,80}|\\PC{0,40}") {
            if let Ok(reference) = parse(&image) {
                prop_assert_eq!(parse(&reference.whole()), Ok(reference));
            }
        }
    }
}
