//! Errors of registries in the words of decisions.

use kube_autorollout_core::{
    Digest, Reference, manifest::ManifestError, reference::InvalidReference, state::Reason,
};
use kube_autorollout_registry::{Error, ErrorKind};

use crate::chain::Chain;

/// Why a registry did not tell what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Its kind.
    pub(crate) reason: Reason,
    /// What happened, with its causes.
    pub(crate) detail: String,
    /// What to try.
    pub(crate) advice: &'static str,
}

impl Failure {
    /// What an error means for the image.
    pub(crate) fn of(reference: &Reference, error: &Error) -> Self {
        Self {
            reason: reason(error.kind()),
            detail: format!("{reference}: {}", Chain(error)),
            advice: error.advice(),
        }
    }

    /// An image in a template that is no reference.
    pub(crate) fn invalid_reference(error: InvalidReference) -> Self {
        Self {
            reason: Reason::InvalidReference,
            detail: Chain(&error).to_string(),
            advice: "mend the image of the container",
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
        }
    }
}

/// The reason of a decision that an error leads to.
pub(crate) fn reason(kind: ErrorKind) -> Reason {
    match kind {
        ErrorKind::InvalidReference => Reason::InvalidReference,
        ErrorKind::TagNotFound => Reason::TagNotFound,
        ErrorKind::Unauthorized => Reason::Unauthorized,
        ErrorKind::Denied => Reason::Denied,
        ErrorKind::CredentialQuarantined => Reason::CredentialQuarantined,
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
