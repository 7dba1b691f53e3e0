use tokio::{sync::Notify, time::advance};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    config,
    metrics::Metrics,
    metrics::registry_observer::Observer,
    registry::options::{self, CONTROLLER_REQUESTS},
};

#[tokio::test(start_paused = true)]
async fn a_tag_that_no_workload_follows_is_evicted_after_a_while() {
    let environment = std::collections::BTreeMap::new();
    let config = config::load(None, &environment).expect("defaults").config;
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let observer = Arc::new(Observer::new(metrics));
    let client = options::registry_client(&config, &environment, observer, CONTROLLER_REQUESTS);
    let fetches = Fetches::new(Arc::default(), CancellationToken::new());
    let tags = Tags::new(client.expect("a client"), &fetches);
    let web = Identity::deployment("shop", "web");
    let fetch = async |image: &str| {
        let reference = image.parse().expect("a reference");
        let credentials = CredentialChain::default();
        let woken = Arc::new(Notify::new());
        let waiter = Waiter::Task(Arc::clone(&woken));
        let lookup = || tags.lookup(&reference, &credentials, Timestamp::MIN, &waiter);
        assert!(lookup().0.is_none(), "it is fetched first");
        woken.notified().await;
        let (tag, key) = lookup();
        tag.expect("a failure");
        key
    };
    let followed = fetch("localhost:1/followed:1").await;
    tags.follow(&web, &[followed]);
    fetch("localhost:1/deleted:1").await;
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
