//! The credentials for a workload's images: the pull Secrets of its pods, then those of the configuration.

mod cloud;
mod configured;
mod pull_secret;
mod secrets;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_cloud::Identities;
use kube_autorollout_core::Reference;
use kube_autorollout_registry as registry;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::warn;

pub(crate) use self::configured::Configured;
use self::secrets::Secrets;
use crate::{
    config::RegistryEntry,
    lookup::{Fetches, Waiter},
};

/// How long a problem is remembered after its last occurrence: with a daily schedule it occurs once a day.
const RETENTION: Duration = Duration::from_secs(25 * 60 * 60);

/// All sources of credentials.
pub(crate) struct Credentials {
    secrets: Secrets,
    configured: Configured,
}

impl Credentials {
    /// Pull Secrets, and the configured credentials.
    pub(crate) fn new(
        client: Client,
        registries: &[RegistryEntry],
        identities: Option<Identities>,
        fetches: &Fetches,
    ) -> Self {
        Self {
            secrets: Secrets::new(client, fetches),
            configured: Configured::new(registries, identities),
        }
    }

    /// The credentials for an image, in the order in which they are tried; an empty chain stands for anonymous requests. Where
    /// its registry has an endpoint, Secrets are searched for the endpoint. `None` while a Secret is being fetched.
    pub(crate) fn lookup(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
        waiter: &Waiter,
    ) -> Option<registry::CredentialChain> {
        let keyring = self.secrets.lookup(namespace, pull_secrets, waiter)?;
        let credentials = keyring.lookup(&self.configured.at_endpoint(reference));
        Some(self.configured.chain(credentials, reference))
    }

    /// Why the Docker configurations that were last fetched have no credentials for an image although they name its registry.
    pub(crate) fn missing(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
    ) -> Option<registry::MissingCredential> {
        let keyring = self.secrets.last(namespace, pull_secrets);
        let missing = keyring
            .missing(&self.configured.at_endpoint(reference))
            .cloned();
        missing.or_else(|| self.configured.missing(reference))
    }

    /// Evicts unused Secrets and old problems.
    pub(crate) fn tidy(&self) {
        self.secrets.tidy();
        self.configured.tidy();
    }

    /// Invalidates Secrets that were fetched before `request`, the start of a request that a registry refused.
    pub(crate) fn invalidate(&self, namespace: &str, pull_secrets: &[String], request: Timestamp) {
        self.secrets.invalidate(namespace, pull_secrets, request);
    }
}

/// The logged problem of each source of credentials: a problem is logged once, and again when it changes or recurs.
#[derive(Debug, Default)]
struct Problems(Mutex<HashMap<String, (String, Instant)>>);

impl Problems {
    /// Notes the present problem of a source, or that it has none.
    fn note(&self, source: &str, problem: Option<String>) {
        let mut problems = self.0.lock();
        let Some(problem) = problem else {
            problems.remove(source);
            return;
        };
        if problems
            .get(source)
            .is_none_or(|(logged, _)| *logged != problem)
        {
            warn!("{problem}");
        }
        problems.insert(source.to_owned(), (problem, Instant::now()));
    }

    fn tidy(&self) {
        self.0
            .lock()
            .retain(|_, (_, noted)| noted.elapsed() < RETENTION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_problem_that_recurs_is_logged_again() {
        let problems = Problems::default();
        let logged = || {
            problems
                .0
                .lock()
                .get("a")
                .map(|(problem, _)| problem.clone())
        };
        problems.note("a", Some("broken".to_owned()));
        problems.note("a", Some("gone".to_owned()));
        assert_eq!(logged().as_deref(), Some("gone"), "it has changed");
        problems.note("b", None);
        assert!(logged().is_some(), "another source");
        problems.note("a", None);
        assert_eq!(logged(), None, "so that it is logged again");
        problems.note("a", Some("broken".to_owned()));
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
        problems.tidy();
        assert!(logged().is_some(), "it occurs once a day");
        tokio::time::advance(RETENTION).await;
        problems.tidy();
        assert_eq!(logged(), None, "it no longer occurs");
    }
}
