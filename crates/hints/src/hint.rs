//! What a request says.

use std::collections::{BTreeMap, BTreeSet};

use kube_autorollout_core::Reference;

/// An image that is said to have been pushed: only that, and no digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hint {
    /// The registry's host with its port, in lower case, as references that were parsed have it: `docker.io` for Docker Hub.
    pub registry: String,
    /// The repository, with `library/` for official images.
    pub repository: String,
    /// Which tags moved.
    pub tags: Tags,
}

/// Which tags of a repository moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tags {
    /// Any of them may have.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl Hint {
    /// Whether an image is to be checked for this hint. Images that are named by digest are not: their tags never move.
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

/// What was read from an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// One for each repository.
    pub hints: Vec<Hint>,
    /// How many notifications led to no hint, and why.
    pub ignored: BTreeMap<Ignored, usize>,
}

impl Parsed {
    /// Whether the sender only tried out the connection, which is answered with 200.
    pub fn is_ping(&self) -> bool {
        self.hints.is_empty() && self.ignored.keys().eq([&Ignored::Ping])
    }
}

/// Why a notification is no hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ignored {
    /// The sender tries out the connection.
    Ping,
    /// Nothing was pushed: an image was pulled or deleted, for example.
    Event,
    /// The package is no image.
    NotAnImage,
    /// A manifest without a tag, as those of the platforms of an index.
    Untagged,
    /// A signature, an attestation or an SBOM, whose tag is made of the digest that it belongs to.
    Signature,
    /// A repository of Artifactory that the receiver's `repositories` do not name.
    UnknownRepository,
    /// The receiver's `images` do not permit it.
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
