//! What registries say of tags, shared by all workloads.
//!
//! Many workloads run one image, and each asks at its own moment of a tick. The first to ask after a tick has begun
//! causes one request; all others get its answer.

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

/// An answer that no workload follows is dropped after so long: a reconcile that has asked for it follows sooner.
const UNFOLLOWED: Duration = Duration::from_secs(10 * 60);

/// What an answer is kept under: who may not read an image must not learn of it from somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    image: Arc<str>,
    scope: Fingerprint,
}

impl Key {
    fn of(reference: &Reference, credentials: &CredentialChain) -> Self {
        Self {
            image: reference.whole().into(),
            scope: credentials.fingerprint(),
        }
    }
}

/// A tag that was asked for.
pub(super) struct Asked {
    /// Under what its answer is kept.
    pub(super) key: Key,
    /// When it was asked for.
    pub(super) begun: Timestamp,
    /// When it is asked for again after a failure, whatever the schedule says.
    pub(super) retry: Option<Timestamp>,
}

/// The tags of all workloads.
pub(crate) struct Tags {
    client: RegistryClient,
    answers: Arc<SingleFlight<Key, Arc<Tag>>>,
    followers: Arc<Mutex<Followers>>,
    triggers: Arc<Triggers>,
}

#[derive(Default)]
struct Followers {
    by_key: HashMap<Key, Followed>,
    /// The tags of each workload.
    by_workload: HashMap<Identity, Box<[Key]>>,
}

/// A tag that workloads follow.
#[derive(Default)]
struct Followed {
    /// Who is reconciled when the tag moves.
    workloads: HashSet<Identity>,
    /// When it was last announced that it has moved: older answers are not good enough.
    announced: Option<Timestamp>,
}

/// What a registry said of an image that workloads run.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) digest: Option<Digest>,
    pub(crate) workloads: HashSet<Identity>,
}

/// What was known of tags when it was announced that they have moved.
pub(crate) struct Announced(Vec<(Key, Option<Digest>)>);

impl Tags {
    /// Knows nothing yet, and requests a reconcile of those who follow a tag when it moves.
    pub(crate) fn new(client: RegistryClient, fetches: &Fetches) -> Self {
        let followers = Arc::new(Mutex::new(Followers::default()));
        let (following, triggers) = (Arc::clone(&followers), Arc::clone(&fetches.triggers));
        let answers = SingleFlight::observed(fetches.clone(), move |key, before, now| {
            if moved(before.map(Arc::as_ref), now) {
                let followers = following.lock();
                let followed = followers.by_key.get(key);
                triggers.send(
                    followed
                        .into_iter()
                        .flat_map(|followed| &followed.workloads),
                );
            }
        });
        Self {
            client,
            answers,
            followers,
            triggers: Arc::clone(&fetches.triggers),
        }
    }

    /// The tag as of a request that began at `not_before` or later, if there is one, and under which key it is kept.
    pub(crate) fn lookup(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
        not_before: Timestamp,
        waiter: &Waiter,
    ) -> Option<(Arc<Tag>, Key)> {
        let key = Key::of(reference, credentials);
        let announced = self.followers.lock().announced(&key);
        let not_before = announced.map_or(not_before, |announced| announced.max(not_before));
        let now = clock::now();
        let is_good = |tag: &Arc<Tag>| tag.serves(not_before, now);
        let tag = self.answers.lookup(&key, waiter, is_good, |before| {
            let (client, reference) = (self.client.clone(), reference.clone());
            let credentials = credentials.clone();
            async move {
                let begun = clock::now();
                let resolved = client.resolve(&reference, &credentials).await;
                let digest = resolved.map(|resolved| resolved.digest).map_err(|error| {
                    let failure = Failure::of(&reference, &error);
                    failure.with(reference.registry(), credentials.fingerprint())
                });
                Arc::new(Tag::learnt(
                    (begun, clock::now()),
                    digest,
                    before.as_deref(),
                ))
            }
        });
        Some((tag?, key))
    }

    /// The same, or what was known last while that is being fetched.
    pub(super) fn lookup_or_last(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
        not_before: Timestamp,
        waiter: &Waiter,
    ) -> (Option<Arc<Tag>>, Key) {
        let known = self.lookup(reference, credentials, not_before, waiter);
        let Some((tag, key)) = known else {
            let key = Key::of(reference, credentials);
            return (self.answers.known(&key), key);
        };
        (Some(tag), key)
    }

    /// Notes which tags a workload is on, each once, so that it is reconciled when one of them moves; none when it is gone.
    pub(crate) fn follow(&self, identity: &Identity, keys: &[Key]) {
        let mut followers = self.followers.lock();
        let before = followers.by_workload.get(identity);
        let before = before.map_or(&[][..], |before| before);
        if before.len() == keys.len() && before.iter().all(|key| keys.contains(key)) {
            return;
        }
        let before = followers.by_workload.remove(identity).unwrap_or_default();
        for left in before.iter().filter(|key| !keys.contains(key)) {
            if followers.leave(left, identity) {
                self.answers.forget(left);
            }
        }
        let keys: Box<[Key]> = keys
            .iter()
            .map(|key| followers.join(key, identity))
            .collect();
        if !keys.is_empty() {
            followers.by_workload.insert(identity.clone(), keys);
        }
    }

    /// The images that workloads follow by tag, of those that are meant.
    pub(crate) fn followed(&self, is_meant: impl Fn(&Reference) -> bool) -> BTreeSet<Arc<str>> {
        let followers = self.followers.lock();
        let images = followers.by_key.keys().map(|key| &key.image);
        let meant = images.filter(|image| {
            let parsed = reference::parse(image);
            parsed.is_ok_and(|image| !reference::is_pinned(&image) && is_meant(&image))
        });
        meant.cloned().collect()
    }

    /// It was announced that the tag of an image has moved: all who follow it are reconciled, and the first of them asks
    /// the registry again.
    pub(crate) fn announce(&self, image: &str) -> Announced {
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
        Announced(before.collect())
    }

    /// What an image was found to be, once all who may read it have asked since then, and who follows it; nothing before.
    pub(crate) fn answer(&self, image: &str, since: Timestamp) -> Option<Answer> {
        let followers = self.followers.lock();
        let of_image = followers
            .by_key
            .iter()
            .filter(|(key, _)| *key.image == *image);
        let mut answer = Answer::default();
        for (key, followed) in of_image {
            let tag = self.answers.known(key).filter(|tag| tag.begun >= since)?;
            let digest = tag.digest.as_ref().ok().cloned();
            answer.digest = answer.digest.or(digest);
            answer.workloads.extend(followed.workloads.iter().cloned());
        }
        Some(answer)
    }

    /// What an image that a workload follows was last found to name, if the registry answered.
    pub(crate) fn named(&self, identity: &Identity, image: &Reference) -> Option<Digest> {
        let image = image.whole();
        let key = {
            let followers = self.followers.lock();
            let mut keys = followers.by_workload.get(identity)?.iter();
            keys.find(|key| *key.image == *image)?.clone()
        };
        self.digest(&key)
    }

    /// Whether some tag still names what it named when it was announced: a registry can announce a push before it answers
    /// with it.
    pub(crate) fn is_unchanged(&self, announced: &Announced) -> bool {
        let mut before = announced.0.iter();
        before.any(|(key, before)| self.digest(key) == *before)
    }

    /// When it was announced that a tag of the workload has moved, if it was found to name another digest since.
    pub(crate) fn announced(&self, identity: &Identity) -> Option<Timestamp> {
        let followers = self.followers.lock();
        let keys = followers.by_workload.get(identity)?.iter();
        let moved = keys.filter_map(|key| {
            let announced = followers.announced(key)?;
            let tag = self.answers.known(key)?;
            tag.has_moved_since(announced).then_some(announced)
        });
        moved.max()
    }

    fn digest(&self, key: &Key) -> Option<Digest> {
        self.answers.known(key)?.digest.clone().ok()
    }

    /// Drops answers that no workload follows: the one that asked has been deleted before it could.
    pub(crate) fn tidy(&self) {
        let followers = self.followers.lock();
        self.answers
            .retain(|key, unused| unused < UNFOLLOWED || followers.by_key.contains_key(key));
    }
}

impl Followers {
    /// Returns the one copy of the key that all share.
    fn join(&mut self, key: &Key, identity: &Identity) -> Key {
        let shared = self.by_key.get_key_value(key);
        let shared = shared.map_or_else(|| key.clone(), |(key, _)| key.clone());
        let followed = self.by_key.entry(shared.clone()).or_default();
        followed.workloads.insert(identity.clone());
        shared
    }

    fn announced(&self, key: &Key) -> Option<Timestamp> {
        self.by_key.get(key)?.announced
    }

    /// Returns whether nobody follows the tag any more.
    fn leave(&mut self, key: &Key, identity: &Identity) -> bool {
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
