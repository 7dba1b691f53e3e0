//! What was learnt of one host: how it wants to be authenticated to, and whom it lets in.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use parking_lot::Mutex;
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, timeout},
};

use super::known_schemes::KnownSchemes;
use crate::{
    cache::{MAX_REPOSITORIES, bounded},
    credential::{CredentialChain, CredentialProvider, Fingerprint},
    error::repr::Repr,
    http::HostClient,
};

/// The others do not wait any longer for the caller that goes ahead: it may have asked for something slow.
const LEAD: Duration = Duration::from_secs(2);

/// Repositories that let somebody in; what is asked next follows within seconds.
const MAX_LET_IN: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// For how long a credential that a repository let in is taken to be good for it when it is refused (401), and when it is
/// accepted and may not read (403). The tags of workloads with a daily schedule are asked for once a day.
const LET_IN: (Duration, Duration) = (
    Duration::from_secs(10 * 60),
    Duration::from_secs(25 * 60 * 60),
);

/// For how long the credential that a repository let in goes before those that come before it by rule.
const PREFERRED: Duration = Duration::from_secs(60 * 60);

/// What was learnt of one host.
pub(crate) struct AuthState {
    pub(crate) schemes: KnownSchemes,
    let_in: LruCache<(String, Option<Fingerprint>), Instant>,
    preferred: LruCache<(String, Fingerprint), (Fingerprint, Instant)>,
}

/// Held by the caller that is challenged first.
#[derive(Clone, Default)]
struct FirstChallenge(Arc<tokio::sync::Mutex<()>>);

/// Until a host has answered once, one caller at a time goes ahead, so that the others learn from it how to authenticate
/// instead of being challenged one by one.
pub(crate) async fn first_challenge(
    host: &HostClient,
) -> Result<Option<OwnedMutexGuard<()>>, Repr> {
    if host.has_answered() {
        return Ok(None);
    }
    let FirstChallenge(lock) = host.extension();
    let ahead = host.queue(timeout(LEAD, lock.lock_owned())).await?;
    Ok(ahead.ok().filter(|_| !host.has_answered()))
}

impl AuthState {
    /// What was learnt of a host.
    pub(crate) fn of(host: &HostClient) -> Arc<Mutex<Self>> {
        host.extension()
    }

    /// A repository has let a credential in, or anybody.
    pub(crate) fn learn_let_in(&mut self, repository: &str, credential: Option<Fingerprint>) {
        let key = (repository.to_owned(), credential);
        self.let_in.put(key, Instant::now());
    }

    /// A repository does not let a credential in any more.
    pub(crate) fn forget_let_in(&mut self, repository: &str, credential: Option<Fingerprint>) {
        self.let_in.pop(&(repository.to_owned(), credential));
    }

    /// Whether a repository has let the credential in lately. `refused`: what it answers now is 401.
    pub(crate) fn is_let_in(
        &self,
        repository: &str,
        credential: Option<Fingerprint>,
        refused: bool,
    ) -> bool {
        let key = (repository.to_owned(), credential);
        let limit = if refused { LET_IN.0 } else { LET_IN.1 };
        let since = self.let_in.peek(&key);
        since.is_some_and(|since| since.elapsed() < limit)
    }

    /// Of a chain of credentials, the one that a repository has let in.
    pub(crate) fn preferred(
        &mut self,
        repository: &str,
        chain: Fingerprint,
    ) -> Option<Fingerprint> {
        let key = (repository.to_owned(), chain);
        let (preferred, since) = self.preferred.get(&key)?;
        (since.elapsed() < PREFERRED).then_some(*preferred)
    }

    /// A repository has let in one of a chain of credentials, which goes first from now on.
    pub(crate) fn prefer(
        &mut self,
        repository: &str,
        chain: &CredentialChain,
        credential: Fingerprint,
    ) {
        let first = chain.iter().next().map(CredentialProvider::fingerprint);
        let is_first = first == Some(credential);
        if is_first && self.preferred.is_empty() {
            return;
        }
        let key = (repository.to_owned(), chain.fingerprint());
        if is_first {
            self.preferred.pop(&key);
            return;
        }
        let renewed = self.preferred.peek(&key);
        if renewed.is_some_and(|(known, since)| *known == credential && since.elapsed() < PREFERRED)
        {
            return; // so that the rule is tried again at times
        }
        self.preferred.put(key, (credential, Instant::now()));
    }
}

impl Default for AuthState {
    fn default() -> Self {
        Self {
            schemes: KnownSchemes::default(),
            let_in: bounded(MAX_LET_IN),
            preferred: bounded(MAX_REPOSITORIES),
        }
    }
}
