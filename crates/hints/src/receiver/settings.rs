//! The keys of a receiver.

use std::path::PathBuf;

use crate::{
    authentication::ArtifactoryAuthentication, naming::Naming, oidc::OidcSettings, rate::Rate,
    sender::Sender,
};

/// An entry of `hints.receivers`, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// The last part of the path, and the label of metrics.
    pub name: String,
    /// `type`: whose requests are read.
    pub sender: Sender,
    /// Where the secret is, read anew when it changes.
    pub secret_file: Option<PathBuf>,
    /// Where the secret before it is, while senders still use it.
    pub previous_secret_file: Option<PathBuf>,
    /// Patterns of the images that may be hinted; none permit all.
    pub images: Vec<String>,
    /// Whether an answer may wait for the workloads, and so name them.
    pub may_wait: bool,
    /// Tokens of CI jobs, in the place of a secret or beside it.
    pub oidc: Option<OidcSettings>,
    /// `registryHost`, `repositoryPrefix` and `repositories`.
    pub naming: Naming,
    /// What Artifactory sends.
    pub authentication: ArtifactoryAuthentication,
    /// How many requests are let in.
    pub rate: Rate,
}

impl ReceiverSettings {
    /// A receiver with the defaults of every other key.
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
