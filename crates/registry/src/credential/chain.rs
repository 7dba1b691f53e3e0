//! A chain of credential providers.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use ring::digest::{Context, SHA256};

use super::{
    provider::CredentialProvider,
    secret::{Credential, Fingerprint},
};

/// Credential providers in the order in which they are tried; if empty, requests are anonymous.
#[derive(Debug, Clone)]
pub struct CredentialChain {
    list: Arc<[Arc<dyn CredentialProvider>]>,
    fingerprint: Fingerprint,
}

impl CredentialChain {
    /// No credentials.
    pub fn anonymous() -> Self {
        Self {
            list: Arc::default(),
            fingerprint: Fingerprint([0; 32]), // not the hash of any input
        }
    }

    /// The key under which responses may be shared: equal for equal providers in equal order.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether there are no providers.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order in which they are tried.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn CredentialProvider> {
        self.list.iter().map(|provider| &**provider)
    }
}

impl FromIterator<Arc<dyn CredentialProvider>> for CredentialChain {
    /// Keeps the order and drops duplicates.
    fn from_iter<I: IntoIterator<Item = Arc<dyn CredentialProvider>>>(providers: I) -> Self {
        let mut list: Vec<Arc<dyn CredentialProvider>> = Vec::new();
        for provider in providers {
            let fingerprint = provider.fingerprint();
            if list.iter().all(|known| known.fingerprint() != fingerprint) {
                list.push(provider);
            }
        }
        if list.is_empty() {
            return Self::anonymous();
        }
        let mut context = Context::new(&SHA256);
        for provider in &list {
            context.update(&provider.fingerprint().0);
        }
        Self {
            list: list.into(),
            fingerprint: Fingerprint::of(context),
        }
    }
}

impl FromIterator<Credential> for CredentialChain {
    /// Keeps the order and drops duplicates.
    fn from_iter<I: IntoIterator<Item = Credential>>(credentials: I) -> Self {
        let credentials = credentials.into_iter();
        credentials
            .map(|credential| Arc::new(credential) as Arc<dyn CredentialProvider>)
            .collect()
    }
}

impl PartialEq for CredentialChain {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for CredentialChain {}

impl Hash for CredentialChain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl Default for CredentialChain {
    fn default() -> Self {
        Self::anonymous()
    }
}
