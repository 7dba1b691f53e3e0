//! With what a workload's images are asked for: the pull Secrets of its pods, then what is configured for the registry.

mod configured;
mod secrets;

use std::{
    collections::HashSet,
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

    /// What the image is asked for with, in the order in which it is tried; nothing: anonymously.
    pub(crate) async fn of(
        &self,
        namespace: &str,
        pull_secrets: &[String],
        reference: &Reference,
    ) -> registry::Credentials {
        let keyring = self.secrets.keyring(namespace, pull_secrets).await;
        let found = keyring.lookup(reference).into_iter();
        found.chain(self.configured.of(reference)).collect()
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

/// What the log was told already: each of it is said once.
#[derive(Debug, Default)]
struct Told(Mutex<HashSet<String>>);

impl Told {
    fn warn(&self, text: String) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&text) {
            warn!("{text}");
            told.insert(text);
        }
    }
}
