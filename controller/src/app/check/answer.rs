//! The result for one image.

use std::sync::Arc;

use kube_autorollout_core::{Digest, platform::Platform};
use kube_autorollout_registry::{AuthMethod, RateLimit};

use crate::registry::failure::Failure;

/// What a registry said of an image, or why it did not.
#[derive(Debug)]
pub(super) struct Answer {
    /// As it was given.
    pub(super) image: String,
    /// What is behind it.
    pub(super) result: Result<Resolved, Failure>,
}

/// An image that a node could pull.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    /// What a node would pull.
    pub(super) digest: Digest,
    /// That of the manifest or index.
    pub(super) media_type: String,
    /// What an index offers images for, each once; nothing for a single image, whose manifest does not say.
    pub(super) platforms: Option<Vec<Platform>>,
    /// How the client authenticated.
    pub(super) authentication: AuthMethod,
    /// To whom a cloud has issued the credential.
    pub(super) identity: Option<Arc<str>>,
    /// How many pulls are left, where the registry reports it.
    pub(super) rate_limit: Option<RateLimit>,
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use kube_autorollout_core::{reference::InvalidReference, state::Reason};

    use super::*;

    fn rate_limit() -> RateLimit {
        let mut rate_limit = RateLimit::default();
        rate_limit.limit = Some(100);
        rate_limit.remaining = 87;
        rate_limit.window = Some(Duration::from_secs(21_600));
        rate_limit
    }

    pub(in crate::app::check) fn resolved() -> Resolved {
        let digest = format!("sha256:{}", "a".repeat(64));
        Resolved {
            digest: digest.parse().expect("a digest"),
            media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
            platforms: Some(vec![
                Platform::new("linux", "amd64"),
                Platform::new("linux", "\u{1b}[31m"),
            ]),
            authentication: AuthMethod::Bearer,
            identity: Some("aws: arn:aws:iam::123456789012:role/reader".into()),
            rate_limit: Some(rate_limit()),
        }
    }

    /// One that resolved, a single image, and one that did not resolve.
    pub(in crate::app::check) fn answers() -> [Answer; 3] {
        let single = Resolved {
            platforms: None,
            authentication: AuthMethod::Anonymous,
            identity: None,
            rate_limit: None,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            ..resolved()
        };
        let failure = Failure {
            reason: Reason::TagNotFound,
            detail: "a.io/web:gone: a.io: not there".to_owned(),
            ..Failure::invalid_reference(InvalidReference::Empty)
        };
        [
            ("a.io/web:1", Ok(resolved())),
            ("a.io/web:2", Ok(single)),
            ("a.io/web:gone", Err(failure)),
        ]
        .map(|(image, result)| Answer {
            image: image.to_owned(),
            result,
        })
    }
}
