//! Authentication state of one host: its schemes, and the credentials that it accepted.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout},
};

use super::known_schemes::KnownSchemes;
use crate::{
    cache::{Expiring, MAX_REPOSITORIES, bounded},
    credential::{CredentialChain, CredentialProvider, Fingerprint},
    error::repr::Repr,
    http::HostClient,
};

/// How long other callers wait for the first challenge: that request may be a slow one.
const FIRST_CHALLENGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Accesses that are remembered; the next request follows within seconds.
const MAX_ACCESSES: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// How long an access proves that a later 401 concerns one manifest.
const UNAUTHORIZED_TTL: Duration = Duration::from_secs(10 * 60);

/// The same for a later 403. The tags of workloads with a daily schedule are requested once a day.
const FORBIDDEN_TTL: Duration = Duration::from_secs(25 * 60 * 60);

/// How long the credential that a repository accepted is tried before those that precede it in the chain.
const PREFERENCE_TTL: Duration = Duration::from_secs(60 * 60);

/// The authentication state of one host.
pub(crate) struct HostState {
    pub(crate) schemes: KnownSchemes,
    /// The last access to each repository, by credential; without one: anonymous.
    accesses: LruCache<(String, Option<Fingerprint>), Instant>,
    /// By repository and chain of credentials.
    preferred: LruCache<(String, Fingerprint), Expiring<Fingerprint>>,
}

/// Serializes first requests to a host, so that only one caller is challenged.
#[derive(Clone, Default)]
struct FirstChallenge(Arc<tokio::sync::Mutex<()>>);

/// Waits until the host has responded or it is this caller's turn to send the first request. The guard is held until the
/// scheme is known.
pub(crate) async fn first_challenge(
    host: &HostClient,
) -> Result<Option<OwnedMutexGuard<()>>, Repr> {
    if host.has_responded() {
        return Ok(None);
    }
    let FirstChallenge(lock) = host.extension();
    let locked = timeout(FIRST_CHALLENGE_TIMEOUT, lock.lock_owned());
    let guard = host.queue(locked).await?;
    Ok(guard.ok().filter(|_| !host.has_responded()))
}

impl HostState {
    /// The state of a host.
    pub(crate) fn of(host: &HostClient) -> Arc<Mutex<Self>> {
        host.extension()
    }

    /// Remembers that the credential has access to the repository.
    pub(crate) fn put_access(&mut self, repository: &str, credential: Option<Fingerprint>) {
        let key = (repository.to_owned(), credential);
        self.accesses.put(key, Instant::now());
    }

    pub(crate) fn forget_access(&mut self, repository: &str, credential: Option<Fingerprint>) {
        self.accesses.pop(&(repository.to_owned(), credential));
    }

    /// Whether the credential recently had access to the repository. `unauthorized`: the response to judge is a 401.
    pub(crate) fn has_access(
        &self,
        repository: &str,
        credential: Option<Fingerprint>,
        unauthorized: bool,
    ) -> bool {
        let key = (repository.to_owned(), credential);
        let ttl = if unauthorized {
            UNAUTHORIZED_TTL
        } else {
            FORBIDDEN_TTL
        };
        let last = self.accesses.peek(&key);
        last.is_some_and(|last| last.elapsed() < ttl)
    }

    /// The credential of a chain that the repository accepted.
    pub(crate) fn preferred(
        &mut self,
        repository: &str,
        chain: Fingerprint,
    ) -> Option<Fingerprint> {
        let key = (repository.to_owned(), chain);
        self.preferred.get(&key).and_then(Expiring::get).copied()
    }

    /// Tries this credential of a chain first from now on. The preference is not renewed, so that the chain's own order
    /// is tried again when it expires.
    pub(crate) fn prefer(
        &mut self,
        repository: &str,
        chain: &CredentialChain,
        credential: Fingerprint,
    ) {
        let first = chain.iter().next().map(CredentialProvider::fingerprint);
        let key = (repository.to_owned(), chain.fingerprint());
        if first == Some(credential) {
            self.preferred.pop(&key);
        } else if self.preferred(repository, chain.fingerprint()) != Some(credential) {
            let entry = Expiring::new(credential, PREFERENCE_TTL);
            self.preferred.put(key, entry);
        }
    }
}

impl Default for HostState {
    fn default() -> Self {
        Self {
            schemes: KnownSchemes::default(),
            accesses: bounded(MAX_ACCESSES),
            preferred: bounded(MAX_REPOSITORIES),
        }
    }
}
