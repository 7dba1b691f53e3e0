//! The registries of a configuration: which hosts they are, and how to ask them.

use std::{num::NonZeroUsize, path::PathBuf};

use kube_autorollout_cloud::Cloud;
use kube_autorollout_registry::{Endpoint, HostPattern};

use super::{files::CaFile, secret::SecretText};

/// How to talk to the registries that a pattern covers. The first entry whose pattern matches a host is the host's.
#[derive(Debug, Clone)]
pub(crate) struct RegistryEntry {
    /// The hosts.
    pub(crate) pattern: HostPattern,
    /// Asked in the place of the hosts.
    pub(crate) endpoint: Option<Endpoint>,
    /// What to log in with when the pods' own credentials do not suffice.
    pub(crate) secret: Secret,
    /// Trusted for these hosts besides all others.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// Whether to speak HTTP without TLS.
    pub(crate) plain_http: bool,
    /// The most requests in flight to one host; the client's own default when absent.
    pub(crate) max_concurrent_requests: Option<NonZeroUsize>,
}

/// A credential of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the file's own word")]
pub(crate) enum Secret {
    /// Anonymous.
    None,
    /// A mounted Secret of type `kubernetes.io/dockerconfigjson`.
    ImagePullSecret {
        /// The folder that holds `.dockerconfigjson`.
        mount_path: PathBuf,
    },
    /// A token: the password of `username`, or without one sent as Bearer.
    Opaque {
        /// Whose password the token is.
        username: Option<String>,
        /// The token.
        token: TokenSource,
    },
    /// What a cloud issues to the controller's own identity.
    CloudIdentity {
        /// The cloud; that of the host when absent.
        cloud: Option<Cloud>,
        /// Of AWS, where the host does not say it.
        region: Option<String>,
        /// A role of AWS to be assumed.
        role_arn: Option<String>,
    },
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// In the configuration itself.
    Inline(SecretText),
    /// In a file, to be read again when it changes; a newline at its end is not part of the token.
    File(PathBuf),
}
