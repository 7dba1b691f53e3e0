//! Failures of registries, as decisions and reports need them.

mod advice;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use kube_autorollout_core::{
    Digest, Reference, artifact::ArtifactType, manifest::ManifestError,
    reference::InvalidReference, state::Reason,
};
use kube_autorollout_notifications::Refused;
use kube_autorollout_registry::{Error, ErrorKind, Fingerprint, MissingCredential};

use crate::error_chain::Chain;

/// Why an image or a tag could not be resolved or compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    /// The error with its causes.
    pub(crate) detail: String,
    /// What the user can do.
    pub(crate) advice: &'static str,
    /// It may resolve by itself, so that the request is repeated before the next tick.
    pub(crate) transient: bool,
    /// The delay that the registry requested (`Retry-After`).
    pub(crate) retry_after: Option<Duration>,
    /// The credentials that it refused in a request for a tag, if there were any.
    pub(crate) refused: Option<Refused>,
}

impl Failure {
    /// The failure of a request for an image.
    pub(crate) fn of(reference: &Reference, error: &Error) -> Self {
        Self {
            reason: reason(error.kind()),
            detail: format!("{reference}: {}", Chain(error)),
            advice: advice::of(error),
            transient: error.is_transient(),
            retry_after: error.retry_after(),
            refused: None,
        }
    }

    /// The failure of a request for a tag, with these credentials or without any.
    pub(crate) fn of_tag(reference: &Reference, error: &Error, credentials: Fingerprint) -> Self {
        let failure = Self::of(reference, error);
        let refused = (failure.is_refusal() && !error.is_anonymous()).then(|| {
            let mut hasher = DefaultHasher::new();
            credentials.hash(&mut hasher);
            Refused {
                registry: reference.registry().to_owned(),
                credential: hasher.finish(),
            }
        });
        Self { refused, ..failure }
    }

    /// Whether other credentials may be accepted.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self.reason,
            Reason::Unauthorized | Reason::Denied | Reason::CredentialQuarantined
        )
    }

    /// The same with the explanation that a Docker configuration names the registry without credentials, if it requires any.
    #[must_use]
    pub(crate) fn with_missing(self, missing: &MissingCredential) -> Self {
        if !matches!(self.reason, Reason::Unauthorized | Reason::Denied) {
            return self;
        }
        Self {
            detail: format!(
                "{}; a Docker configuration names the registry, but {missing}",
                self.detail
            ),
            advice: match missing {
                MissingCredential::Helper { .. } => {
                    "write the user name and the password or token themselves into the Docker configuration"
                }
                MissingCredential::NotUtf8 { .. } => {
                    "write the user name and the password of this entry in UTF-8"
                }
                _ => "write a user name and a password or token into this entry",
            },
            ..self
        }
    }

    /// The image of a container is not a valid reference.
    pub(crate) fn invalid_reference(error: InvalidReference) -> Self {
        Self::permanent(
            Reason::InvalidReference,
            Chain(&error).to_string(),
            "fix the image reference of the container",
        )
    }

    /// The manifests of an index are too many or too large to be read.
    pub(crate) fn too_large(reference: &Reference) -> Self {
        Self::permanent(
            Reason::ManifestTooLarge,
            format!("{reference}: its manifests are too large to be compared"),
            "check that the reference names an image",
        )
    }

    /// A manifest cannot be parsed.
    pub(crate) fn unreadable_manifest(
        reference: &Reference,
        digest: &Digest,
        error: &ManifestError,
    ) -> Self {
        Self::permanent(
            error.reason(),
            format!("{reference}: manifest {digest}: {}", Chain(error)),
            "push the image again, as an OCI or Docker image",
        )
    }

    /// A tag names an artifact that is not a container image.
    pub(crate) fn not_an_image(reference: &Reference, artifact: &ArtifactType) -> Self {
        Self::permanent(
            Reason::UnsupportedMediaType,
            format!("{reference}: the tag names {artifact}, not a container image"),
            "push the image under this tag again, and charts and other artifacts under another tag or repository",
        )
    }

    /// A registry does not have a manifest that the index of a tag lists: its replicas lag behind, or not all was pushed.
    pub(crate) fn incomplete(reference: &Reference, tag: &Digest) -> Self {
        Self {
            transient: true,
            ..Self::permanent(
                Reason::TagNotFound,
                format!("{reference}: a manifest that the index {tag} lists was not found"),
                "if it is not found for long, push all images of the index again",
            )
        }
    }

    fn permanent(reason: Reason, detail: String, advice: &'static str) -> Self {
        Self {
            reason,
            detail,
            advice,
            transient: false,
            retry_after: None,
            refused: None,
        }
    }
}

/// The reason of a decision for a kind of error.
pub(crate) fn reason(kind: ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidReference => Reason::InvalidReference,
        ErrorKind::NotFound => Reason::TagNotFound,
        ErrorKind::Unauthorized => Reason::Unauthorized,
        ErrorKind::Denied => Reason::Denied,
        ErrorKind::CredentialQuarantined => Reason::CredentialQuarantined,
        ErrorKind::CloudIdentity => Reason::CloudIdentity,
        ErrorKind::RateLimited => Reason::RateLimited,
        ErrorKind::UnsupportedChallenge => Reason::UnsupportedChallenge,
        ErrorKind::TokenServer => Reason::TokenServer,
        ErrorKind::UnsupportedMediaType => Reason::UnsupportedMediaType,
        ErrorKind::Schema1 => Reason::Schema1,
        ErrorKind::DigestMismatch => Reason::DigestMismatch,
        ErrorKind::ManifestTooLarge => Reason::ManifestTooLarge,
        ErrorKind::RedirectRefused => Reason::RedirectRefused,
        ErrorKind::Timeout => Reason::Timeout,
        ErrorKind::Tls => Reason::Tls,
        ErrorKind::Server => Reason::Server,
        // `ErrorKind` is non-exhaustive.
        _ => Reason::Transport,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_credentials_is_explained_where_credentials_are_required() {
        let failure = |reason| {
            let detail = "a.io/web:1: a.io: credentials are needed".to_owned();
            Failure::permanent(reason, detail, "give the pods an image pull secret")
        };
        let missing = MissingCredential::Helper {
            name: "desktop".to_owned(),
        };
        let explained = failure(Reason::Unauthorized).with_missing(&missing);
        assert_eq!(
            explained.detail,
            "a.io/web:1: a.io: credentials are needed; a Docker configuration names the registry, but its credentials are in \
             the credential helper \"desktop\", which is not supported"
        );
        assert!(explained.advice.contains("themselves"), "{explained:?}");
        let other = failure(Reason::TagNotFound);
        assert_eq!(other.clone().with_missing(&missing), other);
    }
}
