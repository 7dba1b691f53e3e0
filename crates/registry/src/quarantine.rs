//! Credentials that were refused are not presented again for a while, so that no account is ever locked by us.
//!
//! Registries lock accounts after some failed logins, and a check every 45 seconds gets there in minutes. So a credential
//! that a registry does not know to be good is presented by one caller at a time, and after a refusal by nobody until
//! a back-off ends. Its content is part of the key: a corrected secret is another credential and tried at once.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lru::LruCache;
use tokio::{sync::OwnedMutexGuard, time::Instant};

use crate::{bounded::bounded, credential::Fingerprint, fault::Fault, host::Host, target::Origin};

/// The first back-off; it doubles with each further refusal.
const FIRST: Duration = Duration::from_secs(5 * 60);

/// Doublings of the back-off: 5, 10, 20, 40, 80 minutes.
const MAX_DOUBLINGS: u32 = 4;

/// For how long an accepted credential may be presented by many at once. Shorter than checks are apart, so that after
/// a change of password one failed login happens and not one for each request in flight.
const TRUST: Duration = Duration::from_secs(10);

/// Credentials and repositories that are remembered.
const MAX_ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What is refused where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    registry: Origin,
    /// With a repository, only it is refused to the credential.
    repository: Option<String>,
    credential: Fingerprint,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    /// Held by the one caller that finds out whether the credential is good.
    trial: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default, Clone, Copy)]
struct State {
    refused_until: Option<Instant>,
    refusals: u32,
    accepted: Option<Instant>,
}

/// The credentials that were refused.
pub(crate) struct Quarantine {
    entries: Mutex<LruCache<Key, Arc<Entry>>>,
}

/// The right to present a credential. Without a verdict the next caller tries again.
pub(crate) struct Trial {
    entry: Arc<Entry>,
    _alone: Option<OwnedMutexGuard<()>>,
}

impl Quarantine {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(bounded(MAX_ENTRIES)),
        }
    }

    /// The right to present a credential to `registry` or its token server: at once if it was accepted lately, alone
    /// if nothing is known, and not at all after a refusal. `host` is where it will be presented.
    pub(crate) async fn admit(
        &self,
        registry: &Origin,
        credential: Fingerprint,
        host: &Host,
    ) -> Result<Trial, Fault> {
        let entry = self.entry(registry, None, credential);
        if entry.check(Instant::now())? {
            return Ok(Trial {
                entry,
                _alone: None,
            });
        }
        let alone = host.queue(Arc::clone(&entry.trial).lock_owned()).await?;
        // The one before may have found out.
        let trusted = entry.check(Instant::now())?;
        Ok(Trial {
            entry,
            _alone: (!trusted).then_some(alone),
        })
    }

    /// Whether a repository may be asked for with a credential.
    pub(crate) fn check_repository(
        &self,
        registry: &Origin,
        repository: &str,
        credential: Fingerprint,
    ) -> Result<(), Fault> {
        let key = Key::new(registry, Some(repository), credential);
        let known = self.entries().get(&key).cloned();
        known.map_or(Ok(()), |entry| entry.check(Instant::now()).map(|_| ()))
    }

    /// The registry accepts the credential and does not let it read the repository.
    pub(crate) fn refuse_repository(
        &self,
        registry: &Origin,
        repository: &str,
        credential: Fingerprint,
    ) {
        self.entry(registry, Some(repository), credential)
            .refuse(Instant::now());
    }

    /// The registry lets the credential read the repository.
    pub(crate) fn accept_repository(
        &self,
        registry: &Origin,
        repository: &str,
        credential: Fingerprint,
    ) {
        let key = Key::new(registry, Some(repository), credential);
        self.entries().pop(&key);
    }

    /// The credentials now refused as such, counted for each registry.
    pub(crate) fn refused(&self) -> BTreeMap<String, usize> {
        let now = Instant::now();
        let mut counts = BTreeMap::new();
        for (key, entry) in self.entries().iter() {
            if key.repository.is_none() && entry.check(now).is_err() {
                *counts.entry(key.registry.to_string()).or_default() += 1;
            }
        }
        counts
    }

    fn entry(
        &self,
        registry: &Origin,
        repository: Option<&str>,
        credential: Fingerprint,
    ) -> Arc<Entry> {
        let key = Key::new(registry, repository, credential);
        Arc::clone(self.entries().get_or_insert(key, Arc::default))
    }

    fn entries(&self) -> MutexGuard<'_, LruCache<Key, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn new(registry: &Origin, repository: Option<&str>, credential: Fingerprint) -> Self {
        Self {
            registry: registry.clone(),
            repository: repository.map(str::to_owned),
            credential,
        }
    }
}

impl Entry {
    /// Whether the credential is trusted; an error while it is refused.
    fn check(&self, now: Instant) -> Result<bool, Fault> {
        let state = self.state();
        match state.refused_until {
            Some(until) if now < until => Err(Fault::Quarantined {
                remaining: until.duration_since(now),
            }),
            Some(_) => Ok(false),
            None => Ok(state
                .accepted
                .is_some_and(|at| now.duration_since(at) < TRUST)),
        }
    }

    fn refuse(&self, now: Instant) {
        let mut state = self.state();
        // Requests that were in flight together are refused for one reason and count once.
        if state.refused_until.is_some_and(|until| now < until) {
            return;
        }
        let wait = FIRST.saturating_mul(1 << state.refusals.min(MAX_DOUBLINGS));
        *state = State {
            refused_until: Some(now + wait),
            refusals: state.refusals.saturating_add(1),
            accepted: None,
        };
    }

    fn accept(&self, now: Instant) {
        *self.state() = State {
            accepted: Some(now),
            ..State::default()
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trial {
    /// The credential is good.
    pub(crate) fn accept(self) {
        self.entry.accept(Instant::now());
    }

    /// The credential is refused.
    pub(crate) fn refuse(self) {
        self.entry.refuse(Instant::now());
    }
}
