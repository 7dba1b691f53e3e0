//! The tags of all workloads, as registries resolved them.
//!
//! Many workloads may run one image, each with its own offset in a tick. The first lookup after the start of a tick causes one
//! request; all others share its response.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ahash::{HashMap, HashSet};
use jiff::Timestamp;
use kube_autorollout_core::{Digest, Reference, reference};
use kube_autorollout_registry::{CredentialChain, Fingerprint, RegistryClient};
use parking_lot::Mutex;

use super::tag::{Tag, moved};
use crate::{
    clock,
    lookup::{Fetches, SingleFlight, Triggers, Waiter},
    registry::failure::Failure,
    workload::identity::Identity,
};

/// How long an unused tag that no workload follows is cached: a reconcile that looked it up follows it sooner.
const UNFOLLOWED: Duration = Duration::from_secs(10 * 60);

/// The key of a cached tag. It includes the credentials, so that nobody learns of an image through the credentials of others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TagKey {
    image: Arc<str>,
    scope: Fingerprint,
}

/// A request that an observation depends on.
pub(super) struct TagRequest {
    pub(super) key: TagKey,
    pub(super) started_at: Timestamp,
    /// When it is repeated after a failure, regardless of the schedule.
    pub(super) retry: Option<Timestamp>,
}

/// The tags of all workloads.
pub(crate) struct Tags {
    client: RegistryClient,
    cache: Arc<SingleFlight<TagKey, Arc<Tag>>>,
    followers: Arc<Mutex<Followers>>,
    triggers: Arc<Triggers>,
}

#[derive(Default)]
struct Followers {
    by_key: HashMap<TagKey, FollowedTag>,
    /// The tags of each workload.
    by_workload: HashMap<Identity, Box<[TagKey]>>,
}

/// A tag that workloads follow.
#[derive(Default)]
struct FollowedTag {
    /// The workloads that are reconciled when the tag moves.
    workloads: HashSet<Identity>,
    /// When it was last announced that it has moved: earlier responses are stale.
    announced: Option<Timestamp>,
}

/// The digest that an image was resolved to, and the workloads that follow it.
#[derive(Debug, Default)]
pub(crate) struct Resolution {
    pub(crate) digest: Option<Digest>,
    pub(crate) workloads: HashSet<Identity>,
    /// Those with whose credentials it has not been requested yet. If none of them has pods, it never is.
    pub(crate) unanswered: HashSet<Identity>,
}

/// The known digests of an image's tags when a move was announced.
pub(crate) struct KnownDigests(Vec<(TagKey, Option<Digest>)>);

impl Tags {
    /// An empty cache, which triggers the followers of a tag when it moves.
    pub(crate) fn new(client: RegistryClient, fetches: &Fetches) -> Self {
        let followers = Arc::new(Mutex::new(Followers::default()));
        let (following, triggers) = (Arc::clone(&followers), Arc::clone(&fetches.triggers));
        let trigger = move |key: &TagKey, before: Option<&Arc<Tag>>, now: &Arc<Tag>| {
            if moved(before.map(Arc::as_ref), now)
                && let Some(followed) = following.lock().by_key.get(key)
            {
                triggers.send(&followed.workloads);
            }
        };
        Self {
            client,
            cache: SingleFlight::with_callback(fetches.clone(), trigger),
            followers,
            triggers: Arc::clone(&fetches.triggers),
        }
    }

    /// The tag and its key; the tag only if its request started at `not_before` or later. Otherwise it is fetched, and the
    /// waiter is woken afterwards.
    pub(super) fn lookup(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
        not_before: Timestamp,
        waiter: &Waiter,
    ) -> (Option<Arc<Tag>>, TagKey) {
        let key = TagKey {
            image: reference.whole().into(),
            scope: credentials.fingerprint(),
        };
        let announced = self.followers.lock().announced(&key);
        let not_before = announced.map_or(not_before, |announced| announced.max(not_before));
        let now = clock::now();
        let is_fresh = |tag: &Arc<Tag>| tag.is_fresh(not_before, now);
        let tag = self.cache.lookup(&key, waiter, is_fresh, |before| {
            let (client, reference) = (self.client.clone(), reference.clone());
            let credentials = credentials.clone();
            async move {
                let started_at = clock::now();
                let resolved = client.resolve(&reference, &credentials).await;
                let digest = resolved.map(|resolved| resolved.digest).map_err(|error| {
                    Failure::of_tag(&reference, &error, credentials.fingerprint())
                });
                let times = (started_at, clock::now());
                Arc::new(Tag::resolved(times, digest, before.as_deref()))
            }
        });
        (tag, key)
    }

    /// The tag as of the last request, however long ago.
    pub(super) fn last(&self, key: &TagKey) -> Option<Arc<Tag>> {
        self.cache.last(key)
    }

    /// Sets the tags that a workload follows, each once, to reconcile it when one of them moves; none when it is deleted.
    pub(crate) fn follow(&self, identity: &Identity, keys: &[TagKey]) {
        let mut followers = self.followers.lock();
        let before = followers.by_workload.get(identity);
        let before = before.map_or(&[][..], |before| before);
        if before.len() == keys.len() && before.iter().all(|key| keys.contains(key)) {
            return;
        }
        let before = followers.by_workload.remove(identity).unwrap_or_default();
        for left in before.iter().filter(|key| !keys.contains(key)) {
            if followers.leave(left, identity) {
                self.cache.remove(left);
            }
        }
        let keys: Box<[TagKey]> = keys
            .iter()
            .map(|key| followers.join(key, identity))
            .collect();
        if !keys.is_empty() {
            followers.by_workload.insert(identity.clone(), keys);
        }
    }

    /// The images that workloads follow by tag and the filter accepts.
    pub(crate) fn followed(&self, accepts: impl Fn(&Reference) -> bool) -> BTreeSet<Arc<str>> {
        let followers = self.followers.lock();
        let images = followers.by_key.keys().map(|key| &key.image);
        let accepted = images.filter(|image| {
            let parsed = reference::parse(image);
            parsed.is_ok_and(|image| !reference::has_digest(&image) && accepts(&image))
        });
        accepted.cloned().collect()
    }

    /// Announces that the tag of an image may have moved: its followers are reconciled, and the first of them causes a new
    /// request.
    pub(crate) fn announce(&self, image: &str) -> KnownDigests {
        let now = clock::now();
        let mut followers = self.followers.lock();
        let of_image = followers
            .by_key
            .iter_mut()
            .filter(|(key, _)| *key.image == *image);
        let before = of_image.map(|(key, followed)| {
            followed.announced = Some(now);
            self.triggers.send(&followed.workloads);
            (key.clone(), self.digest(key))
        });
        KnownDigests(before.collect())
    }

    /// The resolution of an image by the requests since then.
    pub(crate) fn resolution(&self, image: &str, since: Timestamp) -> Resolution {
        let followers = self.followers.lock();
        let of_image = followers
            .by_key
            .iter()
            .filter(|(key, _)| *key.image == *image);
        let mut resolution = Resolution::default();
        for (key, followed) in of_image {
            let workloads = followed.workloads.iter().cloned();
            resolution.workloads.extend(workloads.clone());
            match self.last(key).filter(|tag| tag.started_at >= since) {
                Some(tag) => {
                    let digest = tag.digest.as_ref().ok().cloned();
                    resolution.digest = resolution.digest.or(digest);
                }
                None => resolution.unanswered.extend(workloads),
            }
        }
        resolution
    }

    /// The digest that an image of a workload was last resolved to, unless that failed.
    pub(crate) fn named(&self, identity: &Identity, image: &Reference) -> Option<Digest> {
        let image = image.whole();
        let key = {
            let followers = self.followers.lock();
            let mut keys = followers.by_workload.get(identity)?.iter();
            keys.find(|key| *key.image == *image)?.clone()
        };
        self.digest(&key)
    }

    /// Whether some tag still has the digest that it had before the announcement: a registry can announce a push before it
    /// serves it.
    pub(crate) fn is_unchanged(&self, before: &KnownDigests) -> bool {
        let mut before = before.0.iter();
        before.any(|(key, before)| self.digest(key) == *before)
    }

    /// When the move of a tag of the workload was announced, if it has been found to name another digest since.
    pub(crate) fn announced(&self, identity: &Identity) -> Option<Timestamp> {
        let followers = self.followers.lock();
        let keys = followers.by_workload.get(identity)?.iter();
        let moved = keys.filter_map(|key| {
            let announced = followers.announced(key)?;
            let tag = self.last(key)?;
            tag.has_moved_since(announced).then_some(announced)
        });
        moved.max()
    }

    fn digest(&self, key: &TagKey) -> Option<Digest> {
        self.last(key)?.digest.clone().ok()
    }

    /// Evicts tags that no workload follows, as it was deleted before it could.
    pub(crate) fn tidy(&self) {
        let followers = self.followers.lock();
        self.cache
            .retain(|key, unused| unused < UNFOLLOWED || followers.by_key.contains_key(key));
    }
}

impl Followers {
    /// Adds a follower; returns the shared copy of the key.
    fn join(&mut self, key: &TagKey, identity: &Identity) -> TagKey {
        let shared = self.by_key.get_key_value(key);
        let shared = shared.map_or_else(|| key.clone(), |(key, _)| key.clone());
        let followed = self.by_key.entry(shared.clone()).or_default();
        followed.workloads.insert(identity.clone());
        shared
    }

    fn announced(&self, key: &TagKey) -> Option<Timestamp> {
        self.by_key.get(key)?.announced
    }

    /// Removes a follower; returns whether it was the last.
    fn leave(&mut self, key: &TagKey, identity: &Identity) -> bool {
        let Some(followed) = self.by_key.get_mut(key) else {
            return false;
        };
        followed.workloads.remove(identity);
        let is_last = followed.workloads.is_empty();
        if is_last {
            self.by_key.remove(key);
        }
        is_last
    }
}

#[cfg(test)]
mod tests;
