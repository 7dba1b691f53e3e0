//! Hints: the result of parsing a request.

use std::collections::{BTreeMap, BTreeSet};

use kube_autorollout_core::Reference;

/// An image that the sender reports as pushed, without a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint {
    /// The registry's host and port in lower case, as in parsed references: `docker.io` for Docker Hub.
    pub registry: String,
    /// The repository, with `library/` for official images.
    pub repository: String,
    /// The tags that moved.
    pub tags: Tags,
}

/// The tags of a repository that moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tags {
    /// Any tag may have moved.
    All,
    /// These tags.
    Named(BTreeSet<String>),
}

impl Hint {
    /// Whether an image must be checked for this hint. An image with a digest never moves.
    pub fn concerns(&self, image: &Reference) -> bool {
        image.digest().is_none()
            && image.registry().eq_ignore_ascii_case(&self.registry)
            && image.repository() == self.repository
            && match &self.tags {
                Tags::All => true,
                Tags::Named(tags) => image.tag().is_some_and(|tag| tags.contains(tag)),
            }
    }
}

/// The content of an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// One hint for each repository.
    pub hints: Vec<Hint>,
    /// The number of notifications without a hint, by reason.
    pub ignored: BTreeMap<Ignored, usize>,
}

impl Parsed {
    /// Whether the sender only tests the connection, to which the response is 200.
    pub fn is_ping(&self) -> bool {
        self.hints.is_empty() && self.ignored.keys().eq([&Ignored::Ping])
    }
}

/// Why a notification is not a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// The sender tests the connection.
    Ping,
    /// The event is not a push, for example a pull or a deletion.
    Event,
    /// The package is not an image.
    NotAnImage,
    /// The manifest has no tag, like those of the platforms of an index.
    Untagged,
    /// It is a signature, an attestation or an SBOM, whose tag is derived from the digest that it belongs to.
    Signature,
    /// It is a repository of Artifactory that is not in the receiver's `repositories`.
    UnknownRepository,
    /// The receiver's `images` do not match it.
    NotPermitted,
}

impl Ignored {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Ping,
        Self::Event,
        Self::NotAnImage,
        Self::Untagged,
        Self::Signature,
        Self::UnknownRepository,
        Self::NotPermitted,
    ];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Event => "event",
            Self::NotAnImage => "not_an_image",
            Self::Untagged => "untagged",
            Self::Signature => "signature",
            Self::UnknownRepository => "unknown_repository",
            Self::NotPermitted => "not_permitted",
        }
    }
}
