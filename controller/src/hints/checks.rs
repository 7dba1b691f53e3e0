//! Checks of announced images: concurrent hints for an image share one check.

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

use crate::{controller::Context, metrics::hints::HintOutcome};

/// Hints for an image within this time share one check.
const COALESCED: Duration = Duration::from_secs(1);

/// Delays between checks while the tag has not moved: a registry may announce a push before all of its replicas serve it.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// Announced images that are being checked, at most one entry for each image that workloads run.
pub(crate) struct Checks {
    /// The context of the term.
    pub(super) context: Arc<Context>,
    images: Mutex<HashMap<Arc<str>, Arc<Announcement>>>,
    tasks: TaskTracker,
}

/// An image that is being checked.
struct Announcement {
    /// Another hint arrived.
    repeated: Notify,
    /// The start of the last check.
    begun: Mutex<Instant>,
}

impl Checks {
    /// Checks images of the workloads of this term.
    pub(crate) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            context,
            images: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    /// Checks the images that a hint announces.
    pub(super) fn hint(self: &Arc<Self>, hint: &Hint) -> HintOutcome {
        let images = self.images(hint);
        if images.is_empty() {
            return HintOutcome::UnknownImage;
        }
        let outcomes = images.into_iter().map(|image| self.check(image));
        if outcomes.fold(true, |all, coalesced| all & coalesced) {
            HintOutcome::Coalesced
        } else {
            HintOutcome::Checked
        }
    }

    /// The images that a hint announces and that workloads run.
    pub(super) fn images(&self, hint: &Hint) -> BTreeSet<Arc<str>> {
        let tags = &self.context.sources.tags;
        tags.followed(|image| hint.concerns(image))
    }

    /// Checks an image; returns whether an earlier check has just begun, which is then repeated.
    fn check(self: &Arc<Self>, image: Arc<str>) -> bool {
        let mut images = self.images.lock();
        if let Some(current) = images.get(&image) {
            current.repeated.notify_one();
            return current.begun.lock().elapsed() < COALESCED;
        }
        let announcement = Arc::new(Announcement {
            repeated: Notify::new(),
            begun: Mutex::new(Instant::now()),
        });
        images.insert(Arc::clone(&image), Arc::clone(&announcement));
        let this = Arc::clone(self);
        let stop = self.context.rollouts.stop.clone();
        self.tasks.spawn(async move {
            let check = this.run(&image, &announcement);
            stop.run_until_cancelled(check).await;
        });
        false
    }

    /// Checks an image until no further hint for it arrives.
    async fn run(&self, image: &str, announcement: &Announcement) {
        loop {
            if self.check_until_moved(image, announcement).await {
                let mut images = self.images.lock();
                if announcement.repeated.notified().now_or_never().is_none() {
                    images.remove(image);
                    return;
                }
            }
        }
    }

    /// Checks an image until its tag moves or the retries are used up; returns false when another hint arrives.
    async fn check_until_moved(&self, image: &str, announcement: &Announcement) -> bool {
        let tags = &self.context.sources.tags;
        *announcement.begun.lock() = Instant::now();
        let announced = tags.announce(image);
        sleep(COALESCED).await;
        for delay in RETRIES {
            tokio::select! {
                () = announcement.repeated.notified() => return false,
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
