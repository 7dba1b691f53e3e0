//! The state that all providers share: environment, connections and cached credentials.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;

use crate::{
    aws, azure, cache::Entry, environment::Environment, failure::Failure, gcp, grant::Grant,
    http::Http, observer::RefreshObserver, request::Key,
};

/// The capacity of the cache: users can name any number of registries of ACR.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

const NO_REGION: &str =
    "set secret.region of this entry in the configuration to the region of the registry";

/// The shared state of all providers.
pub(crate) struct Store {
    environment: Environment,
    http: Http,
    pub(crate) observer: Arc<dyn RefreshObserver>,
    cache: Mutex<LruCache<Key, Arc<Entry>>>,
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
            cache: Mutex::new(LruCache::new(CAPACITY)),
        }
    }

    /// The cache entry of a key.
    pub(crate) fn entry(&self, key: &Key) -> Arc<Entry> {
        let mut cache = self.cache.lock();
        Arc::clone(cache.get_or_insert(key.clone(), Arc::default))
    }

    /// Requests a credential from the cloud.
    pub(crate) async fn fetch(&self, key: &Key) -> Result<Grant, Failure> {
        let (environment, http) = (&self.environment, &self.http);
        match key {
            Key::Ecr(ecr) => aws::fetch(ecr, environment, http).await,
            Key::Google => gcp::fetch(environment, http).await,
            Key::Acr(acr) => azure::fetch(acr, environment, http).await,
            Key::UnknownRegion => {
                let what = "the host does not say in which region the registry is";
                Err(Failure::permanent("aws: region", what, NO_REGION))
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}
