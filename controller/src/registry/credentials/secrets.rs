//! A cache of pull Secrets.
//!
//! A Secret that no registry refuses is fetched every ten minutes. After a refusal it is fetched again immediately, as it may
//! have been rotated. While it does not change, perhaps for hours, it is fetched with a growing backoff, however many
//! workloads and images use it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::{backoff::Backoff, schedule};
use kube_autorollout_registry::Keyring;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Problems,
    pull_secret::{self, Error},
};
use crate::{
    clock,
    error_chain::Chain,
    lookup::{Fetches, SingleFlight, Waiter},
};

/// How long a Secret is fresh that no registry refuses.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How long a Secret is fresh that has not changed since a registry refused it, from the second refusal in a row on.
const REFUSED: Backoff = Backoff::new(Duration::from_secs(15), LIFETIME);

/// How long a failure of the API server is cached.
const FAILED: Duration = Duration::from_secs(10);

/// How long an unused Secret is cached.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// The namespace and name of a Secret.
type Name = (String, String);

/// All pull Secrets.
pub(super) struct Secrets {
    reader: Arc<Reader>,
    cache: Arc<SingleFlight<Name, CachedSecret>>,
    /// The start of the last request that a registry refused with the credentials of a Secret.
    refused: Mutex<HashMap<Name, Timestamp>>,
}

struct Reader {
    client: Client,
    problems: Problems,
}

/// The result of the last request for a Secret.
#[derive(Clone)]
struct CachedSecret {
    /// When the request started, by the wall clock.
    started_at: Timestamp,
    fetched: Instant,
    /// The API server did not respond, and the keyring is the one before.
    failed: bool,
    /// How often in a row it was fetched after a refusal and had not changed.
    unchanged: u32,
    /// Empty where the Secret cannot be used.
    keyring: Arc<Keyring>,
}

impl Secrets {
    pub(super) fn new(client: Client, fetches: &Fetches) -> Self {
        let problems = Problems::default();
        Self {
            reader: Arc::new(Reader { client, problems }),
            cache: SingleFlight::new(fetches.clone()),
            refused: Mutex::default(),
        }
    }

    /// The credentials of all these Secrets; `None` while one of them is being fetched. One that is missing or malformed is
    /// logged and skipped, as by the kubelet.
    pub(super) fn lookup(
        &self,
        namespace: &str,
        names: &[String],
        waiter: &Waiter,
    ) -> Option<Keyring> {
        let mut keyring = Some(Keyring::default());
        for name in names {
            // All of them are looked up before one that is pending ends this, so that they are fetched concurrently.
            let secret = self.secret(namespace, name, waiter);
            keyring = keyring.zip(secret).map(|(mut keyring, secret)| {
                keyring.extend(&secret);
                keyring
            });
        }
        keyring
    }

    /// The credentials of the Secrets as they were last fetched, however long ago.
    pub(super) fn last(&self, namespace: &str, names: &[String]) -> Keyring {
        let mut keyring = Keyring::default();
        for name in names {
            if let Some(cached) = self.cache.last(&(namespace.to_owned(), name.clone())) {
                keyring.extend(&cached.keyring);
            }
        }
        keyring
    }

    /// Invalidates Secrets that were fetched before `request`, the start of a request that a registry refused.
    pub(super) fn invalidate(&self, namespace: &str, names: &[String], request: Timestamp) {
        let mut refused = self.refused.lock();
        for name in names {
            let name = (namespace.to_owned(), name.clone());
            if self.cache.contains(&name) {
                let last = refused.entry(name).or_insert(request);
                *last = request.max(*last);
            }
        }
    }

    /// Evicts unused Secrets.
    pub(super) fn tidy(&self) {
        self.cache.retain(|_, unused| unused < UNUSED);
        self.refused
            .lock()
            .retain(|name, _| self.cache.contains(name));
        self.reader.problems.tidy();
    }

    fn secret(&self, namespace: &str, name: &str, waiter: &Waiter) -> Option<Arc<Keyring>> {
        let key = (namespace.to_owned(), name.to_owned());
        let refused = self.refused.lock().get(&key).copied();
        let seed = schedule::seed(name);
        let is_fresh = |cached: &CachedSecret| cached.is_fresh(refused, seed);
        let cached = self.cache.lookup(&key, waiter, is_fresh, |before| {
            let (reader, name) = (Arc::clone(&self.reader), key.clone());
            async move { reader.read(&name, refused, before).await }
        });
        cached.map(|cached| cached.keyring)
    }
}

impl Reader {
    /// Fetches a Secret. A problem is logged when it is new.
    async fn read(
        &self,
        (namespace, name): &Name,
        refused: Option<Timestamp>,
        before: Option<CachedSecret>,
    ) -> CachedSecret {
        let started_at = clock::now();
        let fetched = pull_secret::get(&self.client, namespace, name).await;
        let mut secret = CachedSecret {
            started_at,
            fetched: Instant::now(),
            failed: false,
            unchanged: 0,
            keyring: Arc::default(),
        };
        let key = format!("{namespace}/{name}");
        match fetched {
            Ok(keyring) => {
                self.problems.note(&key, None);
                secret.keyring = Arc::new(keyring);
            }
            Err(error @ Error::Forbidden) => {
                let problem =
                    format!("pull Secrets in namespace {namespace} are not used: {error}");
                self.problems.note(namespace, Some(problem));
            }
            Err(error) => {
                secret.failed = error.is_unanswered();
                let mut consequence = "is not used";
                if let Some(before) = before.as_ref().filter(|_| secret.failed) {
                    consequence = "cannot be fetched, and its last content is used";
                    secret.keyring = Arc::clone(&before.keyring);
                    secret.started_at = before.started_at; // so that its refusal stays valid
                }
                let problem = format!("pull Secret {key} {consequence}: {}", Chain(&error));
                self.problems.note(&key, Some(problem));
            }
        }
        if let Some(before) = before
            && before.keyring == secret.keyring
            && before.was_refused(refused)
        {
            secret.unchanged = before.unchanged.saturating_add(1);
        }
        secret
    }
}

impl CachedSecret {
    /// Whether it was fetched before the last request that a registry refused.
    fn was_refused(&self, refused: Option<Timestamp>) -> bool {
        refused.is_some_and(|request| request >= self.started_at)
    }

    fn is_fresh(&self, refused: Option<Timestamp>, seed: u64) -> bool {
        let lifetime = match (self.failed, self.was_refused(refused), self.unchanged) {
            (true, _, _) => FAILED,
            (false, false, _) => LIFETIME,
            (false, true, 0) => Duration::ZERO,
            (false, true, unchanged) => REFUSED.delay(unchanged, seed),
        };
        self.fetched.elapsed() < lifetime
    }
}

#[cfg(test)]
mod tests;
