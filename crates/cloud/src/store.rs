//! What the providers of all clouds share: the environment, the connections, and what was issued.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;

use crate::{
    aws, azure, cache::Entry, environment::Environment, failure::Failure, gcp, grant::Grant,
    http::Http, observer::RefreshObserver, wanted::Key,
};

/// Credentials that are kept: a user who can name hosts of a cloud can name any number of registries of ACR.
const MAX_KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

const NO_REGION: &str =
    "set secret.region of this entry in the configuration to the region of the registry";

/// What all providers share.
pub(crate) struct Store {
    environment: Environment,
    http: Http,
    pub(crate) observer: Arc<dyn RefreshObserver>,
    kept: Mutex<LruCache<Key, Arc<Entry>>>,
}

impl Store {
    pub(crate) fn new(
        environment: Environment,
        http: Http,
        observer: Arc<dyn RefreshObserver>,
    ) -> Self {
        Self {
            environment,
            http,
            observer,
            kept: Mutex::new(LruCache::new(MAX_KEPT)),
        }
    }

    /// What is kept under a key.
    pub(crate) fn entry(&self, key: &Key) -> Arc<Entry> {
        let mut kept = self.kept.lock();
        Arc::clone(kept.get_or_insert(key.clone(), Arc::default))
    }

    /// Has the cloud issue a credential.
    pub(crate) async fn fetch(&self, key: &Key) -> Result<Grant, Failure> {
        let (environment, http) = (&self.environment, &self.http);
        match key {
            Key::Ecr(ecr) => aws::fetch(ecr, environment, http).await,
            Key::Google => gcp::fetch(environment, http).await,
            Key::Acr(acr) => azure::fetch(acr, environment, http).await,
            Key::Nowhere => {
                let what = "the host does not say in which region the registry is";
                Err(Failure::refused("aws: region", what, NO_REGION))
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}
