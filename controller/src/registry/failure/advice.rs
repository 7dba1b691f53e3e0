//! Advice to users for each kind of failure.

use kube_autorollout_registry::{Error, ErrorKind};

/// The advice for an error, in one sentence.
pub(super) fn of(error: &Error) -> &'static str {
    if let Some(advice) = of_cause(error) {
        return advice;
    }
    match error.kind() {
        ErrorKind::InvalidReference => "correct the image reference",
        ErrorKind::NotFound => {
            "check that the repository and the tag exist and are spelled correctly"
        }
        ErrorKind::Unauthorized => {
            "renew the password or token in the secret used for this registry"
        }
        ErrorKind::Denied => "let the user of this registry's secret read the repository",
        ErrorKind::CredentialQuarantined => {
            "correct the secret: a changed one is tried at once, an unchanged one after a backoff"
        }
        ErrorKind::CloudIdentity => {
            "read the cloud's response, and correct the controller's identity there"
        }
        ErrorKind::RateLimited => "check less often, or use credentials with a higher limit",
        ErrorKind::UnsupportedChallenge => {
            "offer Basic or Bearer authentication, or a user name with the token"
        }
        ErrorKind::TokenServer => "check the token server's log, or try again later",
        ErrorKind::UnsupportedMediaType => {
            "check that the reference names an image, and that no proxy changes the response"
        }
        ErrorKind::Schema1 => "push the image again with a current tool",
        ErrorKind::DigestMismatch => "check the registry's storage and every proxy in between",
        ErrorKind::ManifestTooLarge => "check that the reference names an image",
        ErrorKind::RedirectRefused => {
            "correct the address that the registry names in its realm or redirect"
        }
        ErrorKind::Timeout => {
            "check that the registry can be reached from here (network policy, firewall, proxy)"
        }
        ErrorKind::Tls => {
            "configure the certificate authority of this registry, or plain HTTP where it speaks no TLS"
        }
        ErrorKind::Server => "check the registry's log, or try again later",
        // `ErrorKind` is non-exhaustive.
        _ => "check the registry's host name and port, and the network in between",
    }
}

/// The advice for a cause that is more specific than the kind.
fn of_cause(error: &Error) -> Option<&'static str> {
    if let Some(advice) = error.provider_advice() {
        return Some(advice);
    }
    if error.is_anonymous() {
        return Some(
            "give the pods an image pull secret for this registry, or configure credentials for it",
        );
    }
    // GHCR responds in the same way to an expired token.
    if error.is_token_denied() {
        return Some(
            "renew the token in the secret used for this registry, or let its user read the repository",
        );
    }
    if error.is_proxy() {
        return Some(
            "check the address and the login of the proxy, and what it allows, or exempt the registry in NO_PROXY",
        );
    }
    if error.is_manifest_denied() {
        return Some("see the registry's policies: it gives the tag to the same user");
    }
    error
        .is_manifest_missing()
        .then_some("wait for the registry's replicas or cache to catch up, or push the image again")
}
