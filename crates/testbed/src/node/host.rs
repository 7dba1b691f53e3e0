//! One node: its properties, its images, and whether it is connected.

use std::net::Ipv4Addr;

use oci_spec::image::Digest;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    images::{
        platform::Platform,
        runtime::Runtime,
        store::{ImageFacts, ImageStore, Provided},
    },
    options::{Capacity, NodesOptions, POOL, Scheduling},
};

/// One node.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) address: Ipv4Addr,
    pub(super) platform: Platform,
    pub(super) runtime: Runtime,
    /// Whether the scheduler may use it.
    pub(super) schedulable: bool,
    /// The name of the pool that it is reserved for.
    pub(super) pool: Option<String>,
    pub(super) capacity: Capacity,
    pub(super) images: Mutex<ImageStore>,
    /// Notified when a running image may have got another name.
    renamed: watch::Sender<()>,
    /// Whether its kubelet is cut off.
    away: watch::Sender<bool>,
}

impl Host {
    /// The node with this number, from 1.
    pub(super) fn new(options: &NodesOptions, number: u8) -> Self {
        let is_pool = options.scheduling == Scheduling::Pool;
        Self {
            name: format!("{}-{number}", options.name),
            address: Ipv4Addr::new(10, 127, 0, number),
            platform: options.platform.clone(),
            runtime: options.runtime,
            schedulable: options.scheduling != Scheduling::Closed,
            pool: is_pool.then(|| options.name.clone()),
            capacity: options.capacity,
            images: Mutex::new(ImageStore::new(options.runtime)),
            renamed: watch::Sender::new(()),
            away: watch::Sender::new(false),
        }
    }

    /// The label and the taint of its pool: key and value.
    pub(super) fn reservation(&self) -> Option<(&'static str, &str)> {
        self.pool.as_deref().map(|pool| (POOL, pool))
    }

    /// Changes the images, and notifies the containers of the node if `change` returns that names have changed.
    pub(super) fn change_images(&self, change: impl FnOnce(&mut ImageStore) -> bool) {
        let renamed = change(&mut self.images.lock());
        if renamed {
            self.renamed.send_replace(());
        }
    }

    /// Notified when names of images have changed.
    pub(super) fn renames(&self) -> watch::Receiver<()> {
        self.renamed.subscribe()
    }

    /// An image of the node for one start of a container.
    pub(super) fn provide(&self, facts: ImageFacts, pulled: Option<Digest>) -> Provided {
        let image_id = || self.images(|images| images.image_id(&facts.config));
        Provided {
            image_id: self.runtime.decides_at_creation().then(image_id),
            facts,
            pulled,
        }
    }

    /// Reads the images of the node.
    pub(super) fn images<T>(&self, read: impl FnOnce(&ImageStore) -> T) -> T {
        read(&self.images.lock())
    }

    /// Cuts its kubelet off, or reconnects it.
    pub(super) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Whether its kubelet is cut off.
    pub(super) fn is_away(&self) -> bool {
        *self.away.borrow()
    }

    /// Notified when the kubelet is cut off, and when it is back.
    pub(super) fn away(&self) -> watch::Receiver<bool> {
        self.away.subscribe()
    }

    /// Waits until its kubelet reaches the API server.
    pub(super) async fn connected(&self) {
        // An error means that the node is gone, and all that wait with it
        drop(self.away.subscribe().wait_for(|away| !away).await);
    }
}
