use tokio::{sync::Notify, time::advance};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config,
    metrics::Metrics,
    metrics::registry_observer::Observer,
    registry::options::{self, CONTROLLER_REQUESTS},
};

impl TagKey {
    /// The key of an image with these credentials.
    pub(crate) fn of(image: &str, credentials: &CredentialChain) -> Self {
        Self {
            image: image.into(),
            scope: credentials.fingerprint(),
        }
    }
}

impl Tags {
    /// An empty cache with the default configuration.
    pub(crate) fn with_defaults(triggers: &Arc<Triggers>) -> Self {
        let environment = std::collections::BTreeMap::new();
        let config = config::load(None, &environment).expect("defaults").config;
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let observer = Arc::new(Observer::new(metrics));
        let client = options::registry_client(&config, &environment, observer, CONTROLLER_REQUESTS);
        let fetches = Fetches::new(Arc::clone(triggers), CancellationToken::new());
        Self::new(client.expect("a client"), &fetches)
    }

    /// Requests the tag of an image without credentials, and returns its key after the response.
    pub(crate) async fn fetch(&self, image: &str) -> TagKey {
        let reference = image.parse().expect("a reference");
        let credentials = CredentialChain::default();
        let woken = Arc::new(Notify::new());
        let waiter = Waiter::Task(Arc::clone(&woken));
        let lookup = || self.lookup(&reference, &credentials, Timestamp::MIN, &waiter);
        assert!(lookup().0.is_none(), "it is fetched first");
        woken.notified().await;
        let (tag, key) = lookup();
        tag.expect("a failure");
        key
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_no_workload_follows_is_evicted_after_a_while() {
    let tags = Tags::with_defaults(&Arc::default());
    let web = Identity::deployment("shop", "web");
    let followed = tags.fetch("localhost:1/followed:1").await;
    tags.follow(&web, &[followed]);
    tags.fetch("localhost:1/deleted:1").await;
    let images = || {
        tags.tidy();
        tags.cache.len()
    };
    assert_eq!(images(), 2, "its reconcile may be about to follow");
    advance(UNFOLLOWED).await;
    assert_eq!(images(), 1);
    tags.follow(&web, &[]);
    assert_eq!(images(), 0);
}
