//! Credentials that were refused are not presented again for a while, so that no account is ever locked by us.
//!
//! Registries lock accounts after some failed logins, and a check every 45 seconds gets there in minutes. So a credential
//! that a registry does not know to be good is presented by one caller at a time, and after a refusal by nobody until
//! a back-off ends. Its content is part of the key: a corrected secret is another credential and tried at once.

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
    lead::{Lead, LeadGuard},
    origin::Origin,
};

/// The first back-off; it doubles with each further refusal.
const FIRST: Duration = Duration::from_secs(5 * 60);

/// How long a credential is not presented whose login may be suspended: Artifactory suspends for a minute at the most, and then right
/// passwords, too (`JFrog`'s documentation, "User Lock and Login Suspension").
const SUSPENSION: Duration = Duration::from_secs(90);

/// For how long a credential that was accepted counts as good: what is refused meanwhile is a repository.
const GOOD: Duration = Duration::from_secs(10 * 60);

/// Repositories in a row that a token server newly refuses (403) to a credential, until it may be the credential that is
/// refused: GHCR answers so to a token that has expired.
const NEWLY_FORBIDDEN: u32 = 2;

/// The same for repositories in a row of which some were refused before.
const FORBIDDEN: u32 = 4;

/// The longest back-off.
const LONGEST: Duration = Duration::from_secs(80 * 60);

/// For how long an accepted credential may be presented by many at once. Shorter than checks are apart, so that after
/// a change of password one failed login happens and not one for each request in flight.
const TRUST: Duration = Duration::from_secs(10);

/// How long a probe may take that finds out whether a credential is good: one repository may hang, and the credential be
/// good for all others. Then the next one presents it, too.
const PATIENCE: Duration = Duration::from_secs(5);

/// Credentials and repositories that are remembered.
const MAX_ENTRIES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What is refused where.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) registry: Origin,
    /// With a repository, only it is refused to the credential.
    pub(crate) repository: Option<String>,
    pub(crate) credential: Fingerprint,
}

#[derive(Default)]
struct Entry {
    state: Mutex<State>,
    /// Held by the one caller that finds out whether the credential is good.
    probe: Arc<Lead>,
}

#[derive(Default)]
struct State {
    refused_until: Option<Instant>,
    /// After refusals in a row.
    waits: Option<Doubling>,
    accepted: Option<Instant>,
    /// Repositories that the token server has refused since then, and those among them of which that is news.
    forbidden: u32,
    newly_forbidden: u32,
    /// What the credential last got a token for.
    proven: Option<Arc<Proven>>,
}

/// What a credential is known to get a token for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    pub(crate) realm: Uri,
    pub(crate) scopes: Vec<String>,
}

/// What follows from a token server's 403.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// Nothing but that the repository is refused.
    None,
    /// It may be the credential. `is_new`: so far it was not suspected of that.
    Credential {
        proven: Option<Arc<Proven>>,
        is_new: bool,
    },
}

/// The credentials that were refused.
pub(crate) struct Quarantine {
    entries: Mutex<LruCache<Key, Arc<Entry>>>,
}

/// The right to present a credential. Without a verdict the next caller tries again.
pub(crate) struct Probe {
    entry: Arc<Entry>,
    _alone: Option<LeadGuard>,
}

impl Quarantine {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::new(bounded(MAX_ENTRIES)),
        }
    }

    /// The right to present a credential to a registry or its token server: at once if it was accepted lately, alone if
    /// nothing is known, as long as that does not take too long, and not at all after a refusal.
    pub(crate) async fn admit(
        &self,
        host: &HostClient,
        credential: Fingerprint,
    ) -> Result<Probe, Repr> {
        let entry = self.entry(Key {
            registry: host.origin.clone(),
            repository: None,
            credential,
        });
        if entry.check(Instant::now())? {
            return Ok(Probe {
                entry,
                _alone: None,
            });
        }
        let alone = host.queue(Arc::clone(&entry.probe).lock(PATIENCE)).await?;
        // The one before may have found out.
        let trusted = entry.check(Instant::now())?;
        Ok(Probe {
            entry,
            _alone: (!trusted).then_some(alone),
        })
    }

    /// Whether a repository may be asked for with a credential.
    pub(crate) fn check(&self, repository: &Key) -> Result<(), Repr> {
        let known = self.entries.lock().get(repository).cloned();
        known.map_or(Ok(()), |entry| entry.check(Instant::now()).map(|_| ()))
    }

    /// The registry accepts the credential and does not let it read the repository. Returns whether that is news.
    pub(crate) fn refuse(&self, repository: Key) -> bool {
        let entry = self.entry(repository);
        let mut state = entry.state.lock();
        state.refuse(Instant::now())
    }

    /// The registry lets the credential read the repository.
    pub(crate) fn accept(&self, repository: &Key) {
        self.entries.lock().pop(repository);
    }

    /// The credentials now refused as such, counted for each registry.
    pub(crate) fn refused(&self) -> BTreeMap<String, usize> {
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
    /// Whether the credential is trusted; an error while it is refused.
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
        let is_news = self.waits.is_none();
        // Requests that were in flight together are refused for one reason and count once.
        if !self.is_refused(now) {
            let waits = &mut self.waits;
            let wait = waits.get_or_insert_with(|| Doubling::new(FIRST, LONGEST));
            let wait = wait.next();
            self.leave_alone(now, wait);
        }
        is_news
    }

    fn accept(&mut self, now: Instant, proven: Option<Arc<Proven>>) {
        *self = Self {
            accepted: Some(now),
            proven: proven.or_else(|| self.proven.take()),
            ..Self::default()
        };
    }

    fn leave_alone(&mut self, now: Instant, wait: Duration) {
        if self.is_refused(now) {
            return;
        }
        *self = Self {
            refused_until: Some(now + wait),
            waits: self.waits.take(),
            ..Self::default()
        };
    }

    fn is_refused(&self, now: Instant) -> bool {
        self.refused_until.is_some_and(|until| now < until)
    }
}

impl Probe {
    /// The right to present a credential of which nothing is remembered.
    pub(crate) fn unrecorded() -> Self {
        Self {
            entry: Arc::default(),
            _alone: None,
        }
    }

    /// Whether the credential was accepted lately.
    pub(crate) fn is_good(&self) -> bool {
        let accepted = self.entry.state.lock().accepted;
        accepted.is_some_and(|at| at.elapsed() < GOOD)
    }

    /// The credential is good.
    pub(crate) fn accept(self) {
        self.entry.state.lock().accept(Instant::now(), None);
    }

    /// The credential is good for a token.
    pub(crate) fn accept_for(self, proven: Proven) {
        self.entry
            .state
            .lock()
            .accept(Instant::now(), Some(Arc::new(proven)));
    }

    /// The token server gives no token for a repository. `is_news`: it did not refuse that one before.
    pub(crate) fn forbidden(&self, is_news: bool) -> Suspicion {
        let mut state = self.entry.state.lock();
        state.forbidden = state.forbidden.saturating_add(1);
        state.newly_forbidden = state.newly_forbidden.saturating_add(is_news.into());
        let is_new = state.newly_forbidden >= NEWLY_FORBIDDEN;
        if is_new || state.forbidden >= FORBIDDEN {
            let proven = state.proven.clone();
            return Suspicion::Credential { proven, is_new };
        }
        Suspicion::None
    }

    /// The credential is refused.
    pub(crate) fn refuse(self) {
        self.entry.state.lock().refuse(Instant::now());
    }

    /// The credential is refused as far as is known, which may be due to the repositories that were requested.
    pub(crate) fn rest(self) {
        self.entry.state.lock().leave_alone(Instant::now(), FIRST);
    }

    /// The login may be suspended.
    pub(crate) fn suspend(self) {
        self.entry
            .state
            .lock()
            .leave_alone(Instant::now(), SUSPENSION);
    }
}
