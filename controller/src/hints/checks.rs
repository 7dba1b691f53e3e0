//! The checks that hints ask for: each image once, however many hints there are for it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use kube_autorollout_hints::Hint;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use crate::controller::Context;

/// Hints for an image that come within so long are answered by one check.
const COALESCED: Duration = Duration::from_secs(1);

/// When an image whose tag has not moved is checked again, after the time before: a registry can announce a push before
/// each of its replicas answers with it.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// What became of a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The image is checked.
    Checked,
    /// A check that began less than a second ago is followed by another one.
    Coalesced,
    /// No workload runs the image.
    UnknownImage,
}

/// The images that are being checked because of hints. There is at most one for each image that workloads run.
pub(crate) struct Checks {
    context: Arc<Context>,
    images: Mutex<HashMap<Arc<str>, Arc<Announcement>>>,
    tasks: TaskTracker,
}

/// An image that is being checked.
struct Announcement {
    /// Another hint has come.
    again: Notify,
    /// When the last check began.
    begun: Mutex<Instant>,
}

impl Checks {
    /// Of the workloads of this term.
    pub(crate) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context,
            images: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Checks the images that a hint names.
    pub(super) fn hint(self: &Arc<Self>, hint: &Hint) -> Outcome {
        let images = self.images(hint);
        if images.is_empty() {
            return Outcome::UnknownImage;
        }
        let outcomes = images.into_iter().map(|image| self.check(image));
        if outcomes.fold(true, |all, coalesced| all & coalesced) {
            Outcome::Coalesced
        } else {
            Outcome::Checked
        }
    }

    /// The images that a hint names, of those that workloads run.
    pub(super) fn images(&self, hint: &Hint) -> BTreeSet<Arc<str>> {
        self.context
            .sources
            .tags
            .followed(|image| hint.concerns(image))
    }

    /// What the workloads are decided with.
    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Returns whether a check of this image has just begun.
    fn check(self: &Arc<Self>, image: Arc<str>) -> bool {
        let mut images = self.images.lock();
        if let Some(known) = images.get(&image) {
            known.again.notify_one();
            return known.begun.lock().elapsed() < COALESCED;
        }
        let announcement = Arc::new(Announcement {
            again: Notify::new(),
            begun: Mutex::new(Instant::now()),
        });
        images.insert(Arc::clone(&image), Arc::clone(&announcement));
        let this = Arc::clone(self);
        let stop = self.context.rollouts.stop.clone();
        self.tasks.spawn(async move {
            let checked = this.checked(&image, &announcement);
            stop.run_until_cancelled(checked).await;
        });
        false
    }

    /// Checks an image until no hint for it is left.
    async fn checked(&self, image: &str, announcement: &Announcement) {
        loop {
            if self.settled(image, announcement).await {
                let mut images = self.images.lock();
                if announcement.again.notified().now_or_never().is_none() {
                    images.remove(image);
                    return;
                }
            }
        }
    }

    /// Returns whether no other hint has come meanwhile.
    async fn settled(&self, image: &str, announcement: &Announcement) -> bool {
        let tags = &self.context.sources.tags;
        *announcement.begun.lock() = Instant::now();
        let announced = tags.announce(image);
        sleep(COALESCED).await;
        for delay in AGAIN {
            tokio::select! {
                () = announcement.again.notified() => return false,
                () = sleep(delay) => {}
            }
            if !tags.is_unchanged(&announced) {
                return true;
            }
            tags.announce(image);
        }
        true
    }
}
