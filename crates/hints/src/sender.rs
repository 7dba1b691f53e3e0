//! Senders of hints, and how to parse their requests.

mod acr;
mod artifactory;
mod cloudevents;
mod distribution;
mod dockerhub;
mod generic;
mod gitea;
mod github;
mod harbor;
mod manifest_event;
mod quay;

use std::str::FromStr;

use crate::{
    collector::Collector, hint::Parsed, malformed::Malformed, naming::Naming, request::Request,
};

/// The type of a receiver: the sender of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// CI jobs and users, with our own format.
    Generic,
    /// Webhooks of GitHub for its container registry.
    Github,
    /// Notifications of the CNCF registry, and so of self-managed GitLab.
    Distribution,
    /// Webhooks of Harbor in its own format.
    Harbor,
    /// Webhooks of Docker Hub.
    Dockerhub,
    /// Webhooks of Gitea and Forgejo.
    Gitea,
    /// Notifications of Quay.
    Quay,
    /// Webhooks of Azure Container Registry.
    Acr,
    /// Webhooks of Artifactory.
    Artifactory,
    /// `CloudEvents` of zot, Harbor and Azure Event Grid.
    Cloudevents,
}

impl Sender {
    /// All types.
    pub const ALL: [Self; 10] = [
        Self::Generic,
        Self::Github,
        Self::Distribution,
        Self::Harbor,
        Self::Dockerhub,
        Self::Gitea,
        Self::Quay,
        Self::Acr,
        Self::Artifactory,
        Self::Cloudevents,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Github => "github",
            Self::Distribution => "distribution",
            Self::Harbor => "harbor",
            Self::Dockerhub => "dockerhub",
            Self::Gitea => "gitea",
            Self::Quay => "quay",
            Self::Acr => "acr",
            Self::Artifactory => "artifactory",
            Self::Cloudevents => "cloudevents",
        }
    }

    /// Whether the secret is part of the path, because the sender cannot send it in a header.
    pub fn has_secret_in_path(self) -> bool {
        matches!(self, Self::Dockerhub | Self::Quay)
    }

    /// Whether the sender retries a request until the response is 2xx or 3xx and sends nothing else before, so that malformed
    /// requests must be accepted as well
    /// (<https://distribution.github.io/distribution/about/notifications/>).
    pub fn repeats_until_accepted(self) -> bool {
        self == Self::Distribution
    }

    /// Parses the hints in a request, which must have been authenticated.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for a request that the sender would not send.
    pub fn read(self, request: &Request<'_>, naming: &Naming) -> Result<Parsed, Malformed> {
        let mut collector = Collector::new(naming);
        let read = match self {
            Self::Generic => generic::read,
            Self::Github => github::read,
            Self::Distribution => distribution::read,
            Self::Harbor => harbor::read,
            Self::Dockerhub => dockerhub::read,
            Self::Gitea => gitea::read,
            Self::Quay => quay::read,
            Self::Acr => acr::read,
            Self::Artifactory => artifactory::read,
            Self::Cloudevents => cloudevents::read,
        };
        read(request, &mut collector)?;
        Ok(collector.finish())
    }
}

impl FromStr for Sender {
    type Err = UnknownSender;

    fn from_str(text: &str) -> Result<Self, UnknownSender> {
        let mut all = Self::ALL.into_iter();
        all.find(|sender| sender.as_str() == text)
            .ok_or(UnknownSender)
    }
}

/// An unknown type of receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no type of receiver: use generic, github, distribution, harbor, dockerhub, gitea, quay, acr, artifactory or cloudevents"
)]
pub struct UnknownSender;
