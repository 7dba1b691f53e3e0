//! The result for one image.

use std::sync::Arc;

use kube_autorollout_core::{Digest, platform::Platform};
use kube_autorollout_registry::{AuthMethod, RateLimit};

use crate::registry::failure::Failure;

/// An image and its resolution.
#[derive(Debug)]
pub(super) struct CheckResult {
    /// The image as given.
    pub(super) image: String,
    pub(super) result: Result<Resolved, Failure>,
}

/// An image that a node could pull.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    /// The digest that a node would pull.
    pub(super) digest: Digest,
    /// The media type of the manifest or index.
    pub(super) media_type: String,
    /// The distinct platforms of an index; `None` for a single image, whose manifest does not contain its platform.
    pub(super) platforms: Option<Vec<Platform>>,
    /// How the client authenticated.
    pub(super) authentication: AuthMethod,
    /// The identity that a cloud issued the credential to.
    pub(super) identity: Option<Arc<str>>,
    /// The remaining pulls, if the registry reports them.
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

    /// An index, a single image, and a failure.
    pub(in crate::app::check) fn results() -> [CheckResult; 3] {
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
        .map(|(image, result)| CheckResult {
            image: image.to_owned(),
            result,
        })
    }
}
