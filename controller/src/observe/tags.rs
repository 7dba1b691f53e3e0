//! What registries say of tags, shared by all workloads.
//!
//! Many workloads run one image, and each asks at its own moment of a tick. The first to ask after a tick has begun
//! causes one request; all others get its answer.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube_autorollout_core::{Digest, Reference, backoff::Backoff, schedule};
use kube_autorollout_registry::{CredentialChain, Fingerprint, RegistryClient};
use tokio::time::Instant;

use crate::{
    clock, controller::triggers::Wake, registry::failure::Failure, workload::identity::Identity,
};

/// What a registry said of a tag, and when.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    /// When the request began: what happened to the tag later is not known.
    pub(crate) begun: Timestamp,
    /// The digest behind the tag.
    pub(crate) digest: Result<Digest, Failure>,
    /// What it was last known to name: errors in between change nothing about that.
    sighting: Option<Sighting>,
    /// The failures in a row that may pass by themselves.
    failures: u32,
    /// When the registry is asked again after such a failure, whatever the schedule says.
    pub(crate) retry: Option<Timestamp>,
}

/// How soon a tag is asked for again after a failure that may pass by itself, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));

/// An answer that no workload follows is dropped after so long: a reconcile that has asked for it follows sooner.
const UNFOLLOWED: Duration = Duration::from_secs(10 * 60);

/// A digest that a tag was found to name.
#[derive(Debug, Clone)]
struct Sighting {
    digest: Digest,
    /// When that was found first, since when no other was found.
    first: Timestamp,
}

impl Tag {
    /// What was learnt of the tag by a request that began at `begun` and ended `now`, after what was known `before`.
    fn learnt(
        (begun, now): (Timestamp, Timestamp),
        digest: Result<Digest, Failure>,
        before: Option<&Self>,
    ) -> Self {
        let failures = match &digest {
            Err(failure) if failure.transient => {
                before.map_or(0, |before| before.failures).saturating_add(1)
            }
            _ => 0,
        };
        let retry = digest.as_ref().err().filter(|_| failures > 0);
        let retry = retry.map(|failure| {
            let seed = schedule::seed(&failure.detail);
            let wait = RETRY.delay(failures, seed);
            let wait = wait.max(failure.retry_after.unwrap_or_default());
            now.checked_add(wait).unwrap_or(Timestamp::MAX)
        });
        let before = before.and_then(|before| before.sighting.clone());
        let sighting = match &digest {
            Ok(digest) => before
                .filter(|before| before.digest == *digest)
                .or_else(|| {
                    Some(Sighting {
                        digest: digest.clone(),
                        first: begun,
                    })
                }),
            Err(_) => before,
        };
        Self {
            begun,
            digest,
            sighting,
            failures,
            retry,
        }
    }

    /// Whether it answers who wants to know of it as of `not_before` or later. An answer from the future was given before
    /// the clock was set back, and a failure that may have passed by now is none.
    fn serves(&self, not_before: Timestamp, now: Timestamp) -> bool {
        (not_before..=now).contains(&self.begun) && self.retry.is_none_or(|retry| now < retry)
    }

    /// Since when it names what it was last known to name.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.sighting.as_ref().map(|sighting| sighting.first)
    }
}

/// What an answer is kept under: who may not read an image must not learn of it from somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    image: Arc<str>,
    scope: Fingerprint,
}

/// Asks registries, once for all who want to know the same.
pub(crate) struct Checker {
    client: RegistryClient,
    wake: Arc<Wake>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    entries: HashMap<Key, Arc<Entry>>,
    /// Which entries a workload's containers are on.
    followed: HashMap<Identity, Box<[Key]>>,
}

struct Entry {
    /// Held while a request is under way, by the one who waits for it.
    answer: tokio::sync::Mutex<Option<Tag>>,
    followers: Mutex<HashSet<Identity>>,
    /// When it was asked for last.
    asked: Mutex<Instant>,
}

impl Checker {
    /// Knows nothing yet, and wakes workloads when a tag moves.
    pub(crate) fn new(client: RegistryClient, wake: Arc<Wake>) -> Self {
        Self {
            client,
            wake,
            known: Mutex::default(),
        }
    }

    /// The tag as of a request that began at `not_before` or later, and under which key it is kept.
    pub(crate) async fn tag(
        &self,
        reference: &Reference,
        credentials: &CredentialChain,
        not_before: Timestamp,
    ) -> (Tag, Key) {
        let key = Key {
            image: reference.whole().into(),
            scope: credentials.fingerprint(),
        };
        let (key, entry) = lock(&self.known).entry(key);
        *lock(&entry.asked) = Instant::now();
        let mut answer = entry.answer.lock().await;
        let now = clock::now();
        if let Some(tag) = answer.as_ref().filter(|tag| tag.serves(not_before, now)) {
            return (tag.clone(), key);
        }
        // In a box, as a hundred others that wait for their answers would have room for it, too.
        let resolved = Box::pin(self.client.resolve(reference, credentials)).await;
        let digest = resolved
            .map(|resolved| resolved.digest)
            .map_err(|error| Failure::of(reference, &error));
        let tag = Tag::learnt((now, clock::now()), digest, answer.as_ref());
        let before = answer.replace(tag.clone());
        drop(answer);
        if moved(before.as_ref(), &tag) {
            self.wake.all(&lock(&entry.followers));
        }
        (tag, key)
    }

    /// Notes which tags a workload is on, each once, so that it is woken when one of them moves; none when it is gone.
    pub(crate) fn follow(&self, identity: &Identity, keys: &[Key]) {
        let mut known = lock(&self.known);
        let before = known.followed.get(identity);
        let before = before.map_or(&[][..], |before| before);
        if before.len() == keys.len() && before.iter().all(|key| keys.contains(key)) {
            return;
        }
        let before = known.followed.remove(identity).unwrap_or_default();
        for left in before.iter().filter(|key| !keys.contains(key)) {
            known.leave(left, identity);
        }
        for joined in keys.iter().filter(|key| !before.contains(key)) {
            let (_, entry) = known.entry(joined.clone());
            lock(&entry.followers).insert(identity.clone());
        }
        if !keys.is_empty() {
            known.followed.insert(identity.clone(), keys.into());
        }
    }

    /// Drops answers that no workload follows: the one that asked has been deleted, or its reconcile was given up, before
    /// it could.
    pub(crate) fn tidy(&self) {
        let mut known = lock(&self.known);
        known.entries.retain(|_, entry| {
            let is_used = Arc::strong_count(entry) > 1 || !lock(&entry.followers).is_empty();
            is_used || lock(&entry.asked).elapsed() < UNFOLLOWED
        });
    }
}

impl Known {
    /// The entry of a key, with the one copy of the key that all share.
    fn entry(&mut self, key: Key) -> (Key, Arc<Entry>) {
        if let Some((key, entry)) = self.entries.get_key_value(&key) {
            return (key.clone(), Arc::clone(entry));
        }
        let entry = Arc::new(Entry {
            answer: tokio::sync::Mutex::default(),
            followers: Mutex::default(),
            asked: Mutex::new(Instant::now()),
        });
        self.entries.insert(key.clone(), Arc::clone(&entry));
        (key, entry)
    }

    /// An answer that no workload is on any more is forgotten.
    fn leave(&mut self, key: &Key, identity: &Identity) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        let mut followers = lock(&entry.followers);
        followers.remove(identity);
        let lonely = followers.is_empty();
        drop(followers);
        if lonely {
            self.entries.remove(key);
        }
    }
}

/// Whether the tag names another image than before; an error in between changes nothing.
fn moved(before: Option<&Tag>, now: &Tag) -> bool {
    match (before.map(|tag| &tag.digest), &now.digest) {
        (Some(Ok(before)), Ok(now)) => before != now,
        (Some(Err(_)), Ok(_)) => true,
        _ => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use kube_autorollout_core::state::Reason;
    use tokio::time::advance;

    use super::*;
    use crate::{
        config,
        metrics::Metrics,
        metrics::registry_observer::Observer,
        registry::options::{self, CONTROLLER_REQUESTS},
    };

    fn digest(letter: char) -> Digest {
        let hex = letter.to_string().repeat(64);
        format!("sha256:{hex}")
            .parse()
            .expect("a test's own digest")
    }

    fn failure() -> Failure {
        Failure {
            reason: Reason::Timeout,
            detail: String::new(),
            advice: "",
            transient: true,
            retry_after: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_no_workload_follows_is_dropped_after_a_while() {
        let environment = std::collections::BTreeMap::new();
        let config = config::load(None, &environment).expect("defaults").config;
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        let observer = Arc::new(Observer::new(metrics));
        let client = options::client(&config, &environment, observer, CONTROLLER_REQUESTS);
        let checker = Checker::new(client.expect("a client"), Arc::default());
        let web = Identity::deployment("shop", "web");
        let ask = async |image: &str| {
            let reference = image.parse().expect("a reference");
            let credentials = CredentialChain::default();
            let (_, key) = checker.tag(&reference, &credentials, Timestamp::MIN).await;
            key
        };
        let followed = ask("localhost:1/followed:1").await;
        checker.follow(&web, &[followed]);
        ask("localhost:1/deleted:1").await;
        let images = || {
            checker.tidy();
            lock(&checker.known).entries.len()
        };
        assert_eq!(images(), 2, "its reconcile may be about to follow");
        advance(UNFOLLOWED).await;
        assert_eq!(images(), 1);
        checker.follow(&web, &[]);
        assert_eq!(images(), 0);
    }

    #[test]
    fn a_sighting_lasts_until_another_digest_is_found() {
        let answers = [
            (Err(failure()), None),
            (Ok(digest('a')), Some(1)),
            (Ok(digest('a')), Some(1)),
            (Err(failure()), Some(1)),
            (Ok(digest('a')), Some(1)),
            (Ok(digest('b')), Some(5)),
            (Ok(digest('a')), Some(6)), // it came back: what was known of it before does not count
        ];
        let second = |second| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let mut before: Option<Tag> = None;
        for (begun, (digest, since)) in (0..).zip(answers) {
            let at = second(begun);
            let tag = Tag::learnt((at, at), digest, before.as_ref());
            assert_eq!(tag.since(), since.map(second), "answer {begun}");
            before = Some(tag);
        }
    }

    #[test]
    fn a_failure_that_may_pass_is_retried_before_the_next_tick_and_ever_later() {
        let now = Timestamp::UNIX_EPOCH;
        let mut tag = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = Tag::learnt((now, now), Err(failure()), tag.as_ref());
            let retry = failed.retry.expect("it may pass");
            assert!(failed.serves(now, now) && !failed.serves(now, retry));
            waits.push(retry.duration_since(now).as_secs());
            tag = Some(failed);
        }
        assert!(
            waits.is_sorted() && waits[0] >= 3 && waits[7] <= 300,
            "{waits:?}"
        );
        let denied = Failure {
            reason: Reason::Denied,
            transient: false,
            ..failure()
        };
        let denied = Tag::learnt((now, now), Err(denied), tag.as_ref());
        assert_eq!((denied.retry, denied.failures), (None, 0));
        let limited = Failure {
            reason: Reason::RateLimited,
            retry_after: Some(Duration::from_secs(3600)),
            ..failure()
        };
        let limited = Tag::learnt((now, now), Err(limited), None);
        assert_eq!(
            limited.retry,
            now.checked_add(Duration::from_secs(3600)).ok()
        );
        let answered = Tag::learnt((now, now), Ok(digest('a')), tag.as_ref());
        assert_eq!((answered.retry, answered.failures), (None, 0));
    }
}
