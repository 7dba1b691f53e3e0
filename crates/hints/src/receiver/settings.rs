//! The settings of a receiver.

use std::path::PathBuf;

use crate::{
    authentication::ArtifactoryAuthentication, naming::Naming, oidc::OidcSettings, rate::Rate,
    sender::Sender,
};

/// An entry of `hints.receivers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// The last component of the path, and a label of metrics.
    pub name: String,
    /// `type`: the sender of requests.
    pub sender: Sender,
    /// The file with the secret, which is reloaded when it changes.
    pub secret_file: Option<PathBuf>,
    /// The file with the previous secret, while senders still use it.
    pub previous_secret_file: Option<PathBuf>,
    /// Patterns of the permitted images; all if there are none.
    pub images: Vec<String>,
    /// Whether a response may wait for the workloads, and so reveal their names.
    pub may_wait: bool,
    /// The accepted tokens of CI jobs, instead of a secret or in addition to it.
    pub oidc: Option<OidcSettings>,
    /// `registryHost`, `repositoryPrefix` and `repositories`.
    pub naming: Naming,
    /// The authentication of Artifactory.
    pub authentication: ArtifactoryAuthentication,
    /// The rate limit of requests.
    pub rate: Rate,
}

impl ReceiverSettings {
    /// Settings with defaults for all other keys.
    pub fn new(name: impl Into<String>, sender: Sender) -> Self {
        Self {
            name: name.into(),
            sender,
            secret_file: None,
            previous_secret_file: None,
            images: Vec::new(),
            may_wait: false,
            oidc: None,
            naming: Naming::default(),
            authentication: ArtifactoryAuthentication::default(),
            rate: Rate::DEFAULT,
        }
    }
}
