//! The quarantine: refused credentials are not presented again for a while, so that the client never locks an account.
//!
//! Registries lock accounts after a few failed logins, which a check every 45 seconds reaches in minutes. So a credential
//! that a registry has not accepted recently is presented by one caller at a time, and after a refusal by none until a
//! backoff ends. The content is part of the key: a corrected Secret is another credential and tried at once.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use http::Uri;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    backoff::Doubling,
    cache::bounded,
    credential::Fingerprint,
    error::repr::Repr,
    http::HostClient,
    origin::Origin,
    takeover_lock::{TakeoverGuard, TakeoverLock},
};

/// The first backoff; it doubles with each further refusal.
const FIRST: Duration = Duration::from_secs(5 * 60);

/// The backoff of a login that may be suspended: Artifactory suspends logins for a minute at most, and then refuses correct
/// passwords, too (`JFrog`'s documentation, "User Lock and Login Suspension").
const SUSPENSION: Duration = Duration::from_secs(90);

/// How long an accepted credential counts as valid: refusals meanwhile concern a repository.
const VALID_TTL: Duration = Duration::from_secs(10 * 60);

/// Repositories in a row that a token server newly denies (403) to a credential before the credential itself is suspected:
/// GHCR responds so to a token that has expired.
const NEWLY_DENIED: u32 = 2;

/// The same for repositories in a row, some of which were denied before.
const DENIED: u32 = 4;

/// The longest backoff.
const LONGEST: Duration = Duration::from_secs(80 * 60);

/// How long an accepted credential may be presented by many callers at once. Shorter than the interval of checks, so that a
/// changed password costs one failed login and not one for each request in flight.
const TRUST: Duration = Duration::from_secs(10);

/// How long callers wait for a probe: one repository may hang while the credential is valid for all others.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Credentials and repositories that are remembered.
const MAX_ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// The scope of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) registry: Origin,
    /// The full name of the repository that is refused to the credential; none: the credential itself is refused.
    pub(crate) repository: Option<String>,
    pub(crate) credential: Fingerprint,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    /// Held by the caller that probes the credential.
    probe: Arc<TakeoverLock>,
}

#[derive(Default)]
struct State {
    refused_until: Option<Instant>,
    /// The backoff of refusals in a row.
    backoff: Option<Doubling>,
    accepted: Option<Instant>,
    /// Repositories that the token server denied since then, and how many of those for the first time.
    denied: u32,
    newly_denied: u32,
    /// The last token that the credential got.
    proof: Option<Arc<Proof>>,
}

/// A token that a credential got.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) realm: Uri,
    pub(crate) scopes: Vec<String>,
}

/// What follows from a token server's 403.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// The repository is denied, nothing else.
    None,
    /// The credential may be invalid. `is_new`: it was not suspected so far.
    Credential {
        proof: Option<Arc<Proof>>,
        is_new: bool,
    },
}

/// The refused credentials.
pub(crate) struct Quarantine {
    entries: Mutex<LruCache<Key, Arc<Entry>>>,
}

/// Permission to present a credential. Dropped without a result, the next caller probes the credential.
pub(crate) struct Probe {
    entry: Arc<Entry>,
    _guard: Option<TakeoverGuard>,
}

impl Quarantine {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(bounded(MAX_ENTRIES)),
        }
    }

    /// Waits until a credential may be presented to a registry or its token server: at once if it was accepted recently,
    /// else one caller at a time unless a probe takes too long. Fails during a backoff.
    pub(crate) async fn probe(
        &self,
        host: &HostClient,
        credential: Fingerprint,
    ) -> Result<Probe, Repr> {
        let entry = self.entry(Key {
            registry: host.origin.clone(),
            repository: None,
            credential,
        });
        let mut guard = None;
        if !entry.check(Instant::now())? {
            let lock = Arc::clone(&entry.probe).lock(PROBE_TIMEOUT);
            let locked = host.queue(lock).await?;
            // The previous probe may have succeeded.
            guard = (!entry.check(Instant::now())?).then_some(locked);
        }
        Ok(Probe {
            entry,
            _guard: guard,
        })
    }

    /// Fails while a repository is refused to a credential.
    pub(crate) fn check(&self, repository: &Key) -> Result<(), Repr> {
        let entry = self.entries.lock().get(repository).cloned();
        entry.map_or(Ok(()), |entry| entry.check(Instant::now()).map(drop))
    }

    /// The registry accepts the credential but denies the repository. Returns whether it did not before.
    pub(crate) fn refuse_repository(&self, repository: Key) -> bool {
        let entry = self.entry(repository);
        let mut state = entry.state.lock();
        state.refuse(Instant::now())
    }

    /// The registry lets the credential read the repository.
    pub(crate) fn accept_repository(&self, repository: &Key) {
        self.entries.lock().pop(repository);
    }

    /// The number of quarantined credentials, by registry.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let now = Instant::now();
        let mut counts = BTreeMap::new();
        for (key, entry) in self.entries.lock().iter() {
            if key.repository.is_none() && entry.check(now).is_err() {
                *counts.entry(key.registry.to_string()).or_default() += 1;
            }
        }
        counts
    }

    fn entry(&self, key: Key) -> Arc<Entry> {
        Arc::clone(self.entries.lock().get_or_insert(key, Arc::default))
    }
}

impl Entry {
    /// Whether the credential is trusted. Fails while it is refused.
    fn check(&self, now: Instant) -> Result<bool, Repr> {
        let state = self.state.lock();
        match state.refused_until {
            Some(until) if now < until => Err(Repr::Quarantined {
                remaining: until.duration_since(now),
            }),
            Some(_) => Ok(false),
            None => Ok(state
                .accepted
                .is_some_and(|at| now.duration_since(at) < TRUST)),
        }
    }
}

impl State {
    /// Returns whether it is the first refusal since the credential was accepted.
    fn refuse(&mut self, now: Instant) -> bool {
        let is_new = self.backoff.is_none();
        // Requests that were in flight together are refused for one reason and count once.
        if !self.is_refused(now) {
            let backoff = &mut self.backoff;
            let backoff = backoff.get_or_insert_with(|| Doubling::new(FIRST, LONGEST));
            let wait = backoff.next();
            self.back_off(now, wait);
        }
        is_new
    }

    fn accept(&mut self, now: Instant, proof: Option<Proof>) {
        *self = Self {
            accepted: Some(now),
            proof: proof.map(Arc::new).or_else(|| self.proof.take()),
            ..Self::default()
        };
    }

    fn back_off(&mut self, now: Instant, wait: Duration) {
        if !self.is_refused(now) {
            *self = Self {
                refused_until: Some(now + wait),
                backoff: self.backoff.take(),
                ..Self::default()
            };
        }
    }

    fn is_refused(&self, now: Instant) -> bool {
        self.refused_until.is_some_and(|until| now < until)
    }
}

impl Probe {
    /// Permission to present a credential that is never quarantined.
    pub(crate) fn unrecorded() -> Self {
        Self {
            entry: Arc::default(),
            _guard: None,
        }
    }

    pub(crate) fn was_accepted_recently(&self) -> bool {
        let accepted = self.entry.state.lock().accepted;
        accepted.is_some_and(|at| at.elapsed() < VALID_TTL)
    }

    /// The credential was accepted; by a token server with this token as its proof.
    pub(crate) fn accept(self, proof: Option<Proof>) {
        self.entry.state.lock().accept(Instant::now(), proof);
    }

    /// The token server denied a repository. `is_new`: it did not deny it before.
    pub(crate) fn deny(&self, is_new: bool) -> Suspicion {
        let mut state = self.entry.state.lock();
        state.denied = state.denied.saturating_add(1);
        state.newly_denied = state.newly_denied.saturating_add(is_new.into());
        let is_new = state.newly_denied >= NEWLY_DENIED;
        if is_new || state.denied >= DENIED {
            let proof = state.proof.clone();
            return Suspicion::Credential { proof, is_new };
        }
        Suspicion::None
    }

    /// The credential was refused.
    pub(crate) fn refuse(self) {
        self.entry.state.lock().refuse(Instant::now());
    }

    /// The credential seems refused, but the requested repositories may be the reason.
    pub(crate) fn rest(self) {
        self.entry.state.lock().back_off(Instant::now(), FIRST);
    }

    /// The login may be suspended.
    pub(crate) fn suspend(self) {
        self.entry.state.lock().back_off(Instant::now(), SUSPENSION);
    }
}
