//! With what a workload's images are asked for: the pull Secrets of its pods, then what is configured for the registry.

mod configured;
mod secrets;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::{Reference, state::Reason};
use kube_autorollout_registry as registry;
use tracing::warn;

pub(crate) use self::configured::Configured;
use self::secrets::Secrets;
use crate::config::RegistryEntry;

/// All sources of credentials.
pub(crate) struct Credentials {
    secrets: Secrets,
    configured: Configured,
}

impl Credentials {
    /// The pods' own Secrets, and what is configured.
    pub(crate) fn new(client: Client, registries: &[RegistryEntry]) -> Self {
        Self {
            secrets: Secrets::new(client),
            configured: Configured::new(registries),
        }
    }

    /// What the image is asked for with, in the order in which it is tried; nothing: anonymously. Where its registry has an
    /// endpoint, that is what the Secrets are searched for.
    pub(crate) async fn of(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
    ) -> registry::Credentials {
        let keyring = self.secrets.keyring(namespace, pull_secrets).await;
        let found = keyring
            .lookup(&self.configured.asked(reference))
            .into_iter();
        found.chain(self.configured.of(reference)).collect()
    }

    /// What Docker configurations have for an image in the place of credentials, where they have none.
    pub(crate) async fn missing(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
    ) -> Option<registry::MissingCredential> {
        let keyring = self.secrets.keyring(namespace, pull_secrets).await;
        let missing = keyring.missing(&self.configured.asked(reference)).cloned();
        missing.or_else(|| self.configured.missing(reference))
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

/// What the log was told of each place that credentials come from: trouble is told once, and again when it changes or
/// comes back.
#[derive(Debug, Default)]
struct Told(Mutex<HashMap<String, String>>);

impl Told {
    /// How it stands with a place now.
    fn note(&self, place: &str, trouble: Option<String>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) if told.get(place) != Some(&trouble) => {
                warn!("{trouble}");
                told.insert(place.to_owned(), trouble);
            }
            Some(_) => {}
            None => {
                told.remove(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_comes_back_is_told_again() {
        let told = Told::default();
        let known = || told.0.lock().expect("no panic").get("a").cloned();
        told.note("a", Some("broken".to_owned()));
        told.note("a", Some("gone".to_owned()));
        assert_eq!(known().as_deref(), Some("gone"), "it has changed");
        told.note("b", None);
        assert!(known().is_some(), "another place");
        told.note("a", None);
        assert_eq!(known(), None, "so that it is told again");
    }
}
