//! What images say of themselves: the version and commit that people know them by.
//!
//! It is fetched of both images when one is found to be stale, beside whatever follows, and never decided upon.

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

/// Images of which is kept what they say.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2047);

/// The largest configuration that is read, in bytes; those of real images have a few kilobytes.
const MAX_CONFIG: usize = 64 * 1024;

/// An index, an index in it, and an image.
const MAX_DEPTH: usize = 3;

/// So long after a fetch has begun a report waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A fetch that failed is not repeated while somebody has asked for it within so long.
const RETRY: Duration = Duration::from_secs(60);

/// What images say of themselves, by their digest: who knows it may read what it stands for.
pub(crate) struct Labels {
    client: RegistryClient,
    known: Arc<Mutex<LruCache<Digest, Arc<ImageLabels>>>>,
    flights: Arc<SingleFlight<Digest, Option<Arc<ImageLabels>>>>,
}

/// Where an image is, and which one of an index it is.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) reference: &'a Reference,
    pub(super) platforms: &'a Platforms,
    pub(super) credentials: &'a CredentialChain,
}

impl Labels {
    /// Nothing is known yet.
    pub(super) fn new(client: RegistryClient, fetches: &Fetches) -> Arc<Self> {
        let known = Arc::new(Mutex::new(LruCache::new(KEPT)));
        let keep = Arc::clone(&known);
        let flights = SingleFlight::observed(fetches.clone(), move |digest: &Digest, _, labels| {
            if let Some(labels) = labels {
                keep.lock().put(digest.clone(), Arc::clone(labels));
            }
        });
        Arc::new(Self {
            client,
            known,
            flights,
        })
    }

    /// What an image says of itself, where that is known.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<ImageLabels>> {
        self.known.lock().get(digest).cloned()
    }

    /// Fetches what these images say of themselves, where that is not known. Nobody waits for it.
    pub(super) fn fetch<'d>(&self, of: Of<'_>, digests: impl Iterator<Item = &'d Digest>) {
        let nobody = Waiter::Task(Arc::new(Notify::new()));
        for digest in digests.filter(|digest| self.get(digest).is_none()) {
            self.flights.lookup(
                digest,
                &nobody,
                |_| true,
                |_| {
                    let (client, digest) = (self.client.clone(), digest.clone());
                    let (reference, platforms) = (of.reference.clone(), of.platforms.clone());
                    let credentials = of.credentials.clone();
                    async move {
                        let of = Of {
                            reference: &reference,
                            platforms: &platforms,
                            credentials: &credentials,
                        };
                        of.read(&client, digest).await.map(Arc::new)
                    }
                },
            );
        }
    }

    /// Waits for the images of a rollout that are being fetched, but only for a while after that has begun.
    pub(crate) async fn settled(&self, rollout: &Rollout) {
        let pending = |waiter: &Waiter| {
            let changes = rollout.changes.iter();
            let digests = changes.flat_map(|change| change.from.iter().chain([&change.to]));
            let since = digests.filter_map(|digest| self.flights.pending(digest, waiter));
            since.max()
        };
        let nobody = Waiter::Task(Arc::new(Notify::new()));
        if let Some(since) = pending(&nobody) {
            let fetched = until_ready(|waiter| pending(waiter).is_none().then_some(()));
            drop(time::timeout_at(since + PATIENCE, fetched).await);
        }
    }

    /// Forgets fetches that failed, so that they are repeated when they are asked for again.
    pub(super) fn tidy(&self) {
        self.flights.retain(|_, unused| unused < RETRY);
    }
}

impl Of<'_> {
    /// Reads the annotations of an index and of a manifest, and where they do not name the build, the labels of the
    /// configuration. Nothing where a registry does not answer; what is wrong with it is seen by the checks.
    async fn read(self, client: &RegistryClient, mut digest: Digest) -> Option<ImageLabels> {
        let mut labels = ImageLabels::default();
        for _ in 0..MAX_DEPTH {
            let manifest = client.manifest(self.reference, &digest, self.credentials);
            let manifest = manifest.await.ok()?;
            labels = labels.or(ImageLabels::of_manifest(&manifest.body));
            if labels.name_a_build() {
                break;
            }
            match Manifest::parse(&manifest.media_type, &manifest.body).ok()? {
                Manifest::Index(index) => {
                    let entries = index.select(self.platforms);
                    digest = entries.first()?.digest.clone();
                }
                Manifest::Image(image) => {
                    let config = client
                        .blob(self.reference, &image.config, MAX_CONFIG, self.credentials)
                        .await
                        .ok()?;
                    return Some(labels.or(ImageLabels::of_config(&config).ok()?));
                }
            }
        }
        Some(labels)
    }
}
