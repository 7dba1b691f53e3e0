//! With what a workload's images are asked for: the pull Secrets of its pods, then what is configured for the registry.

mod cloud;
mod configured;
mod pull_secret;
mod secrets;

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_cloud::Identities;
use kube_autorollout_core::{Reference, state::Reason};
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

/// All sources of credentials.
pub(crate) struct Credentials {
    secrets: Secrets,
    configured: Configured,
}

impl Credentials {
    /// The pods' own Secrets, and what is configured.
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

    /// What the image is asked for with, in the order in which it is tried; nothing: anonymously. Where its registry has an
    /// endpoint, that is what the Secrets are searched for. Nothing at all while a Secret is being read.
    pub(crate) fn lookup(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
        waiter: &Waiter,
    ) -> Option<registry::CredentialChain> {
        let keyring = self.secrets.lookup(namespace, pull_secrets, waiter)?;
        let found = keyring.lookup(&self.configured.asked(reference));
        Some(self.configured.chain(found, reference))
    }

    /// What Docker configurations have for an image in the place of credentials, where they have none, as far as their
    /// Secrets have been read.
    pub(crate) fn missing(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
    ) -> Option<registry::MissingCredential> {
        let keyring = self.secrets.known(namespace, pull_secrets);
        let missing = keyring.missing(&self.configured.asked(reference)).cloned();
        missing.or_else(|| self.configured.missing(reference))
    }

    /// Drops what nobody has asked for lately.
    pub(crate) fn tidy(&self) {
        self.secrets.tidy();
        self.configured.tidy();
    }

    /// A registry refused what was asked for at `asked`: Secrets that were read before are read again for the next check.
    pub(crate) fn refused(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reason: Reason,
        asked: Timestamp,
    ) {
        if matches!(
            reason,
            Reason::Unauthorized | Reason::Denied | Reason::CredentialQuarantined
        ) {
            self.secrets.distrust(namespace, pull_secrets, asked);
        }
    }
}

/// A problem that nobody has met for so long is forgotten: those of a daily schedule are met once a day.
const FORGOTTEN: Duration = Duration::from_secs(25 * 60 * 60);

/// What was logged of each source of credentials: a problem is logged once, and again when it changes or
/// comes back.
#[derive(Debug, Default)]
struct Problems(Mutex<HashMap<String, (String, Instant)>>);

impl Problems {
    /// How it stands with a place now.
    fn note(&self, place: &str, problem: Option<String>) {
        let mut problems = self.0.lock();
        let Some(problem) = problem else {
            problems.remove(place);
            return;
        };
        if problems
            .get(place)
            .is_none_or(|(logged, _)| *logged != problem)
        {
            warn!("{problem}");
        }
        problems.insert(place.to_owned(), (problem, Instant::now()));
    }

    fn tidy(&self) {
        self.0
            .lock()
            .retain(|_, (_, met)| met.elapsed() < FORGOTTEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_problem_that_comes_back_is_logged_again() {
        let problems = Problems::default();
        let known = || {
            problems
                .0
                .lock()
                .get("a")
                .map(|(problem, _)| problem.clone())
        };
        problems.note("a", Some("broken".to_owned()));
        problems.note("a", Some("gone".to_owned()));
        assert_eq!(known().as_deref(), Some("gone"), "it has changed");
        problems.note("b", None);
        assert!(known().is_some(), "another place");
        problems.note("a", None);
        assert_eq!(known(), None, "so that it is logged again");
        problems.note("a", Some("broken".to_owned()));
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
        problems.tidy();
        assert!(known().is_some(), "it is met once a day");
        tokio::time::advance(FORGOTTEN).await;
        problems.tidy();
        assert_eq!(known(), None, "of what was deleted, nothing stays");
    }
}
