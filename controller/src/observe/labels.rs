//! The version and commit of images, by which people identify them.
//!
//! They are fetched for both images when a pod is found to be stale, concurrently with what follows, and are never part of a
//! decision.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use kube_autorollout_core::{
    Digest, Reference, decide::Rollout, labels::ImageLabels, manifest::Manifest,
    platform::Platforms,
};
use kube_autorollout_registry::{CredentialChain, RegistryClient};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::{sync::Notify, time};

use crate::lookup::{Fetches, SingleFlight, Waiter, until_ready};

/// How many images are cached.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2047);

/// The largest configuration that is read, in bytes; those of real images have a few kilobytes.
const MAX_CONFIG: usize = 64 * 1024;

/// An index, an index in it, and an image.
const MAX_DEPTH: usize = 3;

/// How long after the start of a fetch a report waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A failed fetch is repeated once it has not been requested for this long.
const RETRY: Duration = Duration::from_secs(60);

/// The labels of images by digest: a caller that knows a digest may read its labels.
pub(crate) struct Labels {
    client: RegistryClient,
    cache: Arc<Mutex<LruCache<Digest, Arc<ImageLabels>>>>,
    fetches: Arc<SingleFlight<Digest, Option<Arc<ImageLabels>>>>,
}

impl Labels {
    /// An empty cache.
    pub(super) fn new(client: RegistryClient, fetches: &Fetches) -> Arc<Self> {
        let cache = Arc::new(Mutex::new(LruCache::new(CAPACITY)));
        let shared = Arc::clone(&cache);
        let store = move |digest: &Digest, _: Option<&_>, labels: &Option<Arc<ImageLabels>>| {
            if let Some(labels) = labels {
                shared.lock().put(digest.clone(), Arc::clone(labels));
            }
        };
        Arc::new(Self {
            client,
            cache,
            fetches: SingleFlight::with_callback(fetches.clone(), store),
        })
    }

    /// The labels of an image, if they are known.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<ImageLabels>> {
        self.cache.lock().get(digest).cloned()
    }

    /// Starts to fetch the labels of these images where they are not known.
    pub(super) fn fetch<'d>(
        &self,
        reference: &Reference,
        platforms: &Platforms,
        credentials: &CredentialChain,
        digests: impl Iterator<Item = &'d Digest>,
    ) {
        let no_waiter = Waiter::Task(Arc::new(Notify::new()));
        for digest in digests.filter(|digest| self.get(digest).is_none()) {
            let fetch = |_| {
                let (client, digest) = (self.client.clone(), digest.clone());
                let (reference, platforms) = (reference.clone(), platforms.clone());
                let credentials = credentials.clone();
                async move {
                    let labels = read(&client, &reference, digest, &platforms, &credentials);
                    labels.await.map(Arc::new)
                }
            };
            self.fetches.lookup(digest, &no_waiter, |_| true, fetch);
        }
    }

    /// Waits for the labels of a rollout's images that are being fetched, up to [`PATIENCE`] after the start of the fetch.
    pub(crate) async fn until_fetched(&self, rollout: &Rollout) {
        let pending = |waiter: &Waiter| {
            let changes = rollout.changes.iter();
            let digests = changes.flat_map(|change| change.from.iter().chain([&change.to]));
            let since = digests.filter_map(|digest| self.fetches.pending(digest, waiter));
            since.max()
        };
        let no_waiter = Waiter::Task(Arc::new(Notify::new()));
        if let Some(since) = pending(&no_waiter) {
            let fetched = until_ready(|waiter| pending(waiter).is_none().then_some(()));
            drop(time::timeout_at(since + PATIENCE, fetched).await);
        }
    }

    /// Evicts failed fetches, so that they are repeated at the next request.
    pub(super) fn tidy(&self) {
        self.fetches.retain(|_, unused| unused < RETRY);
    }
}

/// Reads the annotations of an index and of a manifest, and if they do not identify the build, the labels of the
/// configuration. `None` where the registry fails, which the checks report.
async fn read(
    client: &RegistryClient,
    reference: &Reference,
    mut digest: Digest,
    platforms: &Platforms,
    credentials: &CredentialChain,
) -> Option<ImageLabels> {
    let mut labels = ImageLabels::default();
    for _ in 0..MAX_DEPTH {
        let manifest = client.manifest(reference, &digest, credentials);
        let manifest = manifest.await.ok()?;
        labels = labels.or(ImageLabels::of_manifest(&manifest.body));
        if labels.identify_build() {
            break;
        }
        match Manifest::parse(&manifest.media_type, &manifest.body).ok()? {
            Manifest::Index(index) => {
                digest = index.select(platforms).first()?.digest.clone();
            }
            Manifest::Image(image) => {
                let config = client.blob(reference, &image.config, MAX_CONFIG, credentials);
                let config = config.await.ok()?;
                return Some(labels.or(ImageLabels::of_config(&config).ok()?));
            }
        }
    }
    Some(labels)
}
