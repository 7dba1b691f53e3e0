//! The cache of manifests by digest, which never change, and of failures to fetch one.

use std::{num::NonZeroUsize, time::Duration};

use lru::LruCache;
use oci_spec::image::Digest;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{content::Manifest, url::ObjectUrl};
use crate::{
    cache::{ByteBounded, bounded},
    credential::Fingerprint,
    error::{Error, repr::Repr},
    single_flight::SingleFlight,
};

/// The capacity for bodies, in bytes. Most are a few kilobytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Approximate cost of a cached manifest besides its body, in bytes.
const OVERHEAD: usize = 512;

/// How long a missing manifest is not requested, at first: the registry's replicas or its cache may lag behind. The wait
/// doubles with each request.
const MISSING: Duration = Duration::from_secs(5);

/// The longest wait: a digest that a registry has deleted returns only by a push.
const DELETED: Duration = Duration::from_secs(60 * 60);

/// The longest wait for a manifest that a tag names: the registry will catch up.
const NAMED: Duration = Duration::from_secs(30);

/// How long a manifest that is denied alone is not requested: policies change.
const DENIED: Duration = Duration::from_secs(60);

/// Manifests that are fetched at the same time.
const MAX_FLIGHTS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Failures that are remembered.
const MAX_FAILURES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// Digests named by tags that are remembered; the next request for one follows within seconds.
const MAX_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// How long a digest counts as named by a tag.
const NAMED_TTL: Duration = Duration::from_secs(10 * 60);

/// Registries authorize by repository, so the same digest in another one is another entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    registry: String,
    repository: String,
    digest: Digest,
}

impl Key {
    pub(crate) fn new(url: &ObjectUrl, digest: &Digest) -> Self {
        Self {
            registry: url.registry.clone(),
            repository: url.repository.clone(),
            digest: digest.clone(),
        }
    }
}

/// Manifests and failures.
pub(crate) struct ManifestCache {
    /// A failure is shared by callers with the same chain of credentials.
    pub(crate) flights: SingleFlight<Key, (Fingerprint, Error)>,
    state: Mutex<State>,
}

struct State {
    manifests: ByteBounded<Key, Manifest>,
    /// By chain of credentials: another one may have access.
    failures: LruCache<(Key, Fingerprint), Failure>,
    /// When a tag last named the digest.
    named: LruCache<Key, Instant>,
}

/// A failure that is not retried for a while.
struct Failure {
    error: Error,
    until: Instant,
    wait: Duration,
    /// A tag named the manifest.
    is_named: bool,
}

impl ManifestCache {
    pub(crate) fn new() -> Self {
        Self {
            flights: SingleFlight::new(MAX_FLIGHTS),
            state: Mutex::new(State {
                manifests: ByteBounded::new(MAX_BYTES, cost),
                failures: bounded(MAX_FAILURES),
                named: bounded(MAX_NAMED),
            }),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Manifest> {
        self.state.lock().manifests.get(key).cloned()
    }

    pub(crate) fn put(&self, key: Key, manifest: Manifest) {
        self.state.lock().manifests.put(key, manifest);
    }

    /// Records that a tag names the digest.
    pub(crate) fn put_named(&self, key: Key) {
        self.state.lock().named.put(key, Instant::now());
    }

    /// The recent failure of a request with these credentials.
    pub(crate) fn failure(&self, key: &Key, credentials: Fingerprint) -> Option<Error> {
        let entry = (key.clone(), credentials);
        let state = self.state.lock();
        let failure = state.failures.peek(&entry)?;
        let is_current = Instant::now() < failure.until;
        // A manifest that a tag names now may have been missing before.
        let applies = is_current && (failure.is_named || !state.is_named(key));
        applies.then(|| failure.error.clone())
    }

    /// Caches a failure that would recur. Returns the error to report.
    pub(crate) fn put_failure(&self, key: Key, credentials: Fingerprint, error: Error) -> Error {
        let mut state = self.state.lock();
        let is_named = state.is_named(&key);
        let (first, longest) = match error.repr() {
            Repr::NotFound | Repr::ManifestDenied(_) if is_named => (MISSING, NAMED),
            Repr::NotFound => (MISSING, DELETED),
            Repr::ManifestDenied(_) => (DENIED, DENIED),
            _ => return error,
        };
        let entry = (key, credentials);
        let before = state.failures.peek(&entry);
        let before = before.filter(|before| before.continues_with(&error, is_named));
        let wait = before.map_or(first, |before| before.wait.saturating_mul(2).min(longest));
        let error = if is_named {
            error.named_by_tag()
        } else {
            error
        };
        let failure = Failure {
            error: error.clone(),
            until: Instant::now() + wait,
            wait,
            is_named,
        };
        state.failures.put(entry, failure);
        error
    }

    /// Forgets the failure of a request that succeeds now.
    pub(crate) fn forget_failure(&self, key: &Key, credentials: Fingerprint) {
        let entry = (key.clone(), credentials);
        self.state.lock().failures.pop(&entry);
    }
}

impl Failure {
    /// Whether the next failure has the same cause, so that its wait is longer. A tag that has named the manifest since then
    /// is a new one: the manifest is expected to appear.
    fn continues_with(&self, next: &Error, is_named: bool) -> bool {
        self.error.kind() == next.kind() && (self.is_named || !is_named)
    }
}

impl State {
    fn is_named(&self, key: &Key) -> bool {
        let since = self.named.peek(key);
        since.is_some_and(|since| since.elapsed() < NAMED_TTL)
    }
}

fn cost(manifest: &Manifest) -> usize {
    manifest.body.len().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialChain;

    fn key(number: usize) -> Key {
        Key {
            registry: "registry.example".to_owned(),
            repository: "a".to_owned(),
            digest: format!("sha256:{number:064x}").parse().expect("a digest"),
        }
    }

    fn missing() -> Error {
        Error::new("registry.example", Repr::NotFound)
    }

    fn manifest(number: usize, length: usize) -> Manifest {
        Manifest {
            digest: key(number).digest,
            media_type: String::new(),
            body: vec![0; length].into(),
        }
    }

    #[test]
    fn the_least_recently_used_manifests_are_evicted() {
        let cache = ManifestCache::new();
        for number in 0..4 {
            cache.put(key(number), manifest(number, MAX_BYTES / 4 - OVERHEAD));
        }
        assert!(cache.get(&key(0)).is_some(), "all four fit");
        cache.put(key(4), manifest(4, 1));
        assert!(
            cache.get(&key(1)).is_none(),
            "the one not used for longest is gone"
        );
        for number in [0, 2, 3, 4] {
            assert!(cache.get(&key(number)).is_some(), "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_manifest_that_was_found_or_named_is_missing_for_a_moment_again() {
        let (cache, key) = (ManifestCache::new(), key(0));
        let anonymous = CredentialChain::anonymous().fingerprint();
        let applies = || cache.failure(&key, anonymous).is_some();
        let put = || cache.put_failure(key.clone(), anonymous, missing());
        for _ in 0..12 {
            put();
            tokio::time::advance(DELETED / 2).await;
        }
        assert!(applies(), "deleted");
        cache.forget_failure(&key, anonymous);
        assert!(!applies(), "found");
        put();
        tokio::time::advance(MISSING).await;
        assert!(!applies(), "missing for the first time");
        for _ in 0..12 {
            put();
        }
        cache.put_named(key.clone());
        assert!(!applies(), "named");
        assert!(put().is_manifest_missing());
        assert!(applies());
        tokio::time::advance(MISSING).await;
        assert!(!applies(), "named for the first time");
    }
}
