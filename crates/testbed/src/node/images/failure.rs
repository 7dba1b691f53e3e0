//! Why a container has no image: the error, and how the kubelet reports it in a pod's status.

use std::error::Error;

use http::StatusCode;
use oci_spec::image::Digest;

use crate::{image::RequestError, sources::with_sources};

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    /// No such repository, tag or digest.
    #[error("the registry has no such manifest")]
    NotFound,
    /// The index has nothing for this node.
    #[error("the index has no image for the platform of the node")]
    NoPlatform,
    /// The manifest is not one of an image: its config is of this type.
    #[error("the manifest is not one of an image, but of {0}")]
    NoImage(String),
    /// Any other response that is not a manifest.
    #[error("the registry responded with {0}")]
    Refused(StatusCode),
    /// No response.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Content that does not match its digest.
    #[error("the registry sent other content than {0}")]
    Content(Digest),
    /// A manifest, index or header that cannot be read.
    #[error("the registry's response makes no sense")]
    Answer,
}

/// Why a container has no image, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullFailure {
    /// The waiting reason.
    pub(crate) reason: &'static str,
    /// The waiting message.
    pub(crate) message: String,
}

impl PullFailure {
    pub(crate) const ERR_IMAGE_PULL: &'static str = "ErrImagePull";

    /// A reference that is none.
    pub(crate) fn invalid_name(image: &str) -> Self {
        Self {
            reason: "InvalidImageName",
            message: format!(
                "Failed to apply default image tag \"{image}\": couldn't parse image name \
                 \"{image}\": invalid reference format"
            ),
        }
    }

    /// A policy that forbids the pull that would be needed.
    pub(crate) fn never_pull(image: &str) -> Self {
        Self {
            reason: "ErrImageNeverPull",
            message: format!(
                "Container image \"{image}\" is not present with pull policy of Never"
            ),
        }
    }

    /// An image that is present, and a container that could not be created from it.
    pub(crate) fn not_created(error: &dyn Error) -> Self {
        Self {
            reason: "CreateContainerConfigError",
            message: with_sources(error),
        }
    }

    /// A registry that nodes cannot reach.
    pub(crate) fn unknown_host(image: &str, host: &str) -> Self {
        let detail = format!("failed to do request: dial tcp: lookup {host}: no such host");
        Self::unresolved(image, "Unknown", &detail)
    }

    /// A pull that failed.
    pub(crate) fn failed(image: &str, error: &PullError) -> Self {
        let (code, detail) = match error {
            PullError::NotFound => ("NotFound", format!("{image}: not found")),
            PullError::NoPlatform => (
                "NotFound",
                "no match for platform in manifest: not found".to_owned(),
            ),
            PullError::Refused(status) => (
                "Unknown",
                format!("unexpected status from HEAD request: {status}"),
            ),
            PullError::Request(RequestError::Transport { source, .. }) => (
                "Unknown",
                format!("failed to do request: {}", with_sources(source.as_ref())),
            ),
            PullError::Request(error) => ("Unknown", with_sources(error)),
            PullError::Content(digest) => (
                "FailedPrecondition",
                format!("unexpected commit digest, expected {digest}: failed precondition"),
            ),
            PullError::NoImage(media_type) => (
                "Unknown",
                format!("config of unknown type {media_type:?}: not found"),
            ),
            PullError::Answer => (
                "Unknown",
                "the registry's response makes no sense".to_owned(),
            ),
        };
        Self::unresolved(image, code, &detail)
    }

    fn unresolved(image: &str, code: &str, detail: &str) -> Self {
        Self {
            reason: Self::ERR_IMAGE_PULL,
            message: format!(
                "rpc error: code = {code} desc = failed to pull and unpack image \"{image}\": \
                 failed to resolve reference \"{image}\": {detail}"
            ),
        }
    }
}
