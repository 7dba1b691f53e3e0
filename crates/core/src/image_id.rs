//! The `imageID` of a container status: what a node reports to run.

use crate::{Digest, Reference, reference};

/// The schemes that cri-dockerd writes before an image ID.
const SCHEMES: [&str; 2] = ["docker-pullable://", "docker://"];

/// The image that a container runs, as its status reports it.
///
/// The digest is **not** always the one that was pulled. containerd and CRI-O name the alphabetically first digest
/// that the node has for the same image configuration, perhaps of another repository, and CRI-O may name a platform's
/// manifest instead of the index; <https://github.com/cri-o/cri-o/pull/9683> and
/// <https://github.com/kubernetes/kubernetes/issues/115199>. [`compare`](crate::compare::compare) knows about that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageId {
    /// `name@digest`: the digest of an index or of a manifest.
    RepoDigest {
        /// The repository: any under which the node has the image.
        name: String,
        /// The digest after the last `@`.
        digest: Digest,
    },
    /// A digest alone: of the image configuration or, with Docker's containerd image store, of a manifest or index.
    Bare(Digest),
    /// The container has not started.
    NotStarted,
    /// Anything else, which is never a reason to restart.
    Opaque(String),
}

impl ImageId {
    /// Classifies the `imageID` of any runtime. Every text is valid.
    pub fn parse(text: &str) -> Self {
        let id = SCHEMES
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .unwrap_or(text);
        if id.is_empty() {
            return Self::NotStarted;
        }
        let parsed = match id.rsplit_once('@') {
            Some((name, digest)) => sha(digest).map(|digest| Self::RepoDigest {
                name: name.to_owned(),
                digest,
            }),
            None => sha(id)
                .or_else(|| sha(&format!("sha256:{id}"))) // CRI-O leaves the algorithm out
                .map(Self::Bare),
        };
        parsed.unwrap_or_else(|| Self::Opaque(text.to_owned()))
    }

    /// Whether it names another repository than `reference`: one from which the node has pulled the same content.
    pub fn is_from_another_repository(&self, reference: &Reference) -> bool {
        let Self::RepoDigest { name, .. } = self else {
            return false;
        };
        // Docker omits docker.io/library/.
        !reference::parse(name).is_ok_and(|named| {
            (named.registry(), named.repository()) == (reference.registry(), reference.repository())
        })
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::RepoDigest { digest, .. } | Self::Bare(digest) => Some(digest),
            Self::NotStarted | Self::Opaque(_) => None,
        }
    }
}

/// A digest of a registered algorithm; otherwise `nginx:1` would be a digest too.
fn sha(text: &str) -> Option<Digest> {
    let digest: Digest = text.parse().ok()?;
    digest
        .algorithm()
        .digest_hexlen()
        .is_some()
        .then_some(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn digest() -> Digest {
        format!("sha256:{HEX}")
            .parse()
            .expect("a test's own digest")
    }

    #[test]
    fn the_image_ids_of_every_runtime_are_reported_apart() {
        let repository = |name: &str| ImageId::RepoDigest {
            name: name.to_owned(),
            digest: digest(),
        };
        let sha512 = format!("sha512:{}", HEX.repeat(2));
        let cases = [
            (
                format!("docker.io/library/nginx@sha256:{HEX}"),
                repository("docker.io/library/nginx"),
            ),
            (
                format!("docker-pullable://nginx@sha256:{HEX}"),
                repository("nginx"),
            ),
            (
                format!("docker.io/library/import-2026-11-22@sha256:{HEX}"),
                repository("docker.io/library/import-2026-11-22"),
            ),
            (format!("a@b@sha256:{HEX}"), repository("a@b")),
            (format!("docker://sha256:{HEX}"), ImageId::Bare(digest())),
            (format!("sha256:{HEX}"), ImageId::Bare(digest())),
            (HEX.to_owned(), ImageId::Bare(digest())),
            (
                sha512.clone(),
                ImageId::Bare(sha512.parse().expect("a digest")),
            ),
            (String::new(), ImageId::NotStarted),
            ("docker://".to_owned(), ImageId::NotStarted),
        ];
        for (text, expected) in cases {
            assert_eq!(ImageId::parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn image_ids_without_a_digest_are_opaque() {
        let uppercase = HEX.to_uppercase();
        let short = &HEX[1..];
        for text in [
            "nginx:1",
            "nginx",
            uppercase.as_str(),
            short,
            "web@sha256:12",
            "web@",
            "@",
            "blake3:12",
        ] {
            assert_eq!(ImageId::parse(text), ImageId::Opaque(text.to_owned()));
            assert_eq!(ImageId::parse(text).digest(), None);
        }
    }

    #[test]
    fn another_repository_is_reported_from_the_same_one_in_other_words() {
        let cases = [
            ("docker.io/library/nginx", "nginx:1", false),
            ("nginx", "docker.io/library/nginx:1", false),
            ("index.docker.io/library/nginx", "nginx", false),
            (
                "registry.corp:5000/nginx",
                "registry.corp:5000/nginx:1",
                false,
            ),
            ("docker.io/library/nginx", "registry.corp/nginx", true),
            ("registry.corp/nginx-2", "registry.corp/nginx", true),
            ("docker.io/library/import-2026-11-22", "nginx", true),
            ("a@b", "nginx", true),
        ];
        for (name, image, expected) in cases {
            let id = ImageId::parse(&format!("{name}@sha256:{HEX}"));
            let image = reference::parse(image).expect("a reference");
            assert_eq!(
                id.is_from_another_repository(&image),
                expected,
                "{name} of {image}"
            );
        }
        let image = reference::parse("nginx").expect("a reference");
        assert!(!ImageId::parse(HEX).is_from_another_repository(&image));
    }

    proptest! {
        #[test]
        fn every_text_has_an_answer(text in "\\PC*|(docker(-pullable)?://)?[a-f0-9:@]{0,80}") {
            let id = ImageId::parse(&text);
            prop_assert_eq!(id == ImageId::NotStarted, id.digest().is_none() && !matches!(id, ImageId::Opaque(_)));
        }
    }
}
