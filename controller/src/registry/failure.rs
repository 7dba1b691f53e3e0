//! Errors of registries in the words of decisions.

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

/// Why a registry did not answer what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its kind.
    pub(crate) reason: Reason,
    /// What happened, with its causes.
    pub(crate) detail: String,
    /// What to try.
    pub(crate) advice: &'static str,
    /// It may pass by itself, so that it is tried again before the next tick.
    pub(crate) transient: bool,
    /// For how long the registry asks not to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// Which credentials it refused to a request for a tag, if it did.
    pub(crate) refused: Option<Refused>,
}

impl Failure {
    /// What an error means for the image.
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

    /// The same of a request with these credentials.
    #[must_use]
    pub(crate) fn with(self, registry: &str, credentials: Fingerprint) -> Self {
        let is_refusal = matches!(
            self.reason,
            Reason::Unauthorized | Reason::Denied | Reason::CredentialQuarantined
        );
        let refused = is_refusal.then(|| {
            let mut hasher = DefaultHasher::new();
            credentials.hash(&mut hasher);
            Refused {
                registry: registry.to_owned(),
                credential: hasher.finish(),
            }
        });
        Self { refused, ..self }
    }

    /// The same where credentials were asked for, and a Docker configuration names the registry without having any.
    #[must_use]
    pub(crate) fn for_want_of(self, missing: &MissingCredential) -> Self {
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

    /// An image in a template that is no reference.
    pub(crate) fn invalid_reference(error: InvalidReference) -> Self {
        Self {
            reason: Reason::InvalidReference,
            detail: Chain(&error).to_string(),
            advice: "fix the image reference of the container",
            transient: false,
            retry_after: None,
            refused: None,
        }
    }

    /// An index of so many or so large manifests that they are not read to the end.
    pub(crate) fn too_much(reference: &Reference) -> Self {
        Self {
            reason: Reason::ManifestTooLarge,
            detail: format!("{reference}: its manifests are too large to be compared"),
            advice: "check that the reference names an image",
            transient: false,
            retry_after: None,
            refused: None,
        }
    }

    /// A manifest that came whole and makes no sense.
    pub(crate) fn unreadable_manifest(
        reference: &Reference,
        digest: &Digest,
        error: &ManifestError,
    ) -> Self {
        Self {
            reason: error.reason(),
            detail: format!("{reference}: manifest {digest}: {}", Chain(error)),
            advice: "push the image again, as an OCI or Docker image",
            transient: false,
            retry_after: None,
            refused: None,
        }
    }

    /// A tag that names something else than a container image.
    pub(crate) fn no_image(reference: &Reference, artifact: &ArtifactType) -> Self {
        Self {
            reason: Reason::UnsupportedMediaType,
            detail: format!("{reference}: the tag names {artifact}, not a container image"),
            advice: "push the image under this tag again, and charts and other artifacts under another tag or repository",
            transient: false,
            retry_after: None,
            refused: None,
        }
    }
}

/// The reason of a decision that an error leads to.
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
        // The crate may grow kinds; whatever they are, the registry was not reached in a way we know.
        _ => Reason::Transport,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_credentials_is_named_where_credentials_were_asked_for() {
        let failure = |reason| Failure {
            reason,
            detail: "a.io/web:1: a.io: credentials are needed".to_owned(),
            advice: "give the pods an image pull secret",
            transient: false,
            retry_after: None,
            refused: None,
        };
        let missing = MissingCredential::Helper {
            name: "desktop".to_owned(),
        };
        let explained = failure(Reason::Unauthorized).for_want_of(&missing);
        assert_eq!(
            explained.detail,
            "a.io/web:1: a.io: credentials are needed; a Docker configuration names the registry, but its credentials are in \
             the credential helper \"desktop\", which is not supported"
        );
        assert!(explained.advice.contains("themselves"), "{explained:?}");
        let other = failure(Reason::TagNotFound);
        assert_eq!(other.clone().for_want_of(&missing), other);
    }
}
