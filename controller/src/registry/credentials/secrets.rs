//! Pull Secrets, kept for a while after they were read.
//!
//! A Secret that no registry refuses is read once in ten minutes. One that is refused is read again at once, as it may have
//! been rotated; while that changes nothing, for hours perhaps, it is read ever more seldom, however many workloads and
//! images ask for it at each check.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::Client;
use kube_autorollout_core::{backoff::Backoff, schedule};
use kube_autorollout_registry::Keyring;
use tokio::time::Instant;

use super::{
    Told,
    pull_secret::{self, Error},
};
use crate::{clock, error_chain::Chain};

/// How long a Secret is kept that no registry refuses.
const KEPT: Duration = Duration::from_secs(10 * 60);

/// How soon a Secret is read again that has not changed since a registry refused it: after the second refusal in a row, and
/// at the latest.
const REFUSED: Backoff = Backoff::new(Duration::from_secs(15), KEPT);

/// How long all share a failure of the API server.
const FAILED: Duration = Duration::from_secs(10);

/// A Secret that nobody asks for is dropped after so long: nothing of a workload that was deleted stays.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// Where a Secret is.
type Name = (String, String);

/// Reads Secrets.
pub(super) struct Secrets {
    client: Client,
    kept: Mutex<HashMap<Name, Arc<Entry>>>,
    told: Told,
}

struct Entry {
    /// Held while the Secret is read; those who wait share what comes of it.
    read: tokio::sync::Mutex<Option<Read>>,
    marks: Mutex<Marks>,
}

struct Marks {
    /// The last time that a registry refused what it holds.
    refused: Option<Timestamp>,
    /// When it was asked for last.
    used: Instant,
}

/// What came of reading it.
#[derive(Clone)]
struct Read {
    /// When that began, by the clock of refusals.
    begun: Timestamp,
    /// When it had ended.
    at: Instant,
    /// The API server was away, and this is what was known before.
    failed: bool,
    /// How often in a row it was read because it had been refused, and had not changed.
    unchanged: u32,
    /// Nothing where the Secret cannot be used.
    keyring: Arc<Keyring>,
}

impl Secrets {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
            told: Told::default(),
        }
    }

    /// What the Secrets of these names hold together. One that is missing or malformed is reported and left out: the
    /// kubelet would fail or go on without it, and we only want to look.
    pub(super) async fn keyring(&self, namespace: &str, names: &[String]) -> Keyring {
        let mut keyring = Keyring::default();
        for name in names {
            keyring.extend(&*self.secret(namespace, name).await);
        }
        keyring
    }

    /// A registry refused what it was asked at `asked`: what was read before is not trusted any more.
    pub(super) fn distrust(&self, namespace: &str, names: &[String], asked: Timestamp) {
        let kept = lock(&self.kept);
        for name in names {
            if let Some(entry) = kept.get(&(namespace.to_owned(), name.clone())) {
                let mut marks = lock(&entry.marks);
                marks.refused = marks.refused.max(Some(asked));
            }
        }
    }

    /// Drops what nobody has asked for lately.
    pub(super) fn tidy(&self) {
        let mut kept = lock(&self.kept);
        kept.retain(|_, entry| {
            Arc::strong_count(entry) > 1 || lock(&entry.marks).used.elapsed() < UNUSED
        });
        drop(kept);
        self.told.tidy();
    }

    async fn secret(&self, namespace: &str, name: &str) -> Arc<Keyring> {
        let entry = self.entry(namespace, name);
        let mut read = entry.read.lock().await;
        let refused = lock(&entry.marks).refused;
        let seed = schedule::seed(name);
        if let Some(read) = read.as_ref().filter(|read| read.is_trusted(refused, seed)) {
            return Arc::clone(&read.keyring);
        }
        let begun = clock::now();
        let got = pull_secret::get(&self.client, namespace, name).await;
        let now = self.judged(got, begun, read.as_ref(), (namespace, name));
        let was_refused = |before: &&Read| refused.is_some_and(|asked| asked >= before.begun);
        let unchanged = read
            .as_ref()
            .filter(|before| before.keyring == now.keyring)
            .filter(was_refused)
            .map_or(0, |before| before.unchanged.saturating_add(1));
        let now = read.insert(Read { unchanged, ..now });
        Arc::clone(&now.keyring)
    }

    fn entry(&self, namespace: &str, name: &str) -> Arc<Entry> {
        let mut kept = lock(&self.kept);
        let entry = kept.entry((namespace.to_owned(), name.to_owned()));
        let entry = entry.or_insert_with(|| {
            Arc::new(Entry {
                read: tokio::sync::Mutex::default(),
                marks: Mutex::new(Marks {
                    refused: None,
                    used: Instant::now(),
                }),
            })
        });
        lock(&entry.marks).used = Instant::now();
        Arc::clone(entry)
    }

    /// What is known of a Secret after an attempt to read it, of which the log is told where that is news.
    fn judged(
        &self,
        got: Result<Keyring, Error>,
        begun: Timestamp,
        before: Option<&Read>,
        (namespace, name): (&str, &str),
    ) -> Read {
        let place = format!("{namespace}/{name}");
        let read = |keyring| Read {
            begun,
            at: Instant::now(),
            failed: false,
            unchanged: 0,
            keyring,
        };
        match got {
            Ok(keyring) => {
                self.told.note(&place, None);
                read(Arc::new(keyring))
            }
            Err(error @ Error::Forbidden) => {
                let trouble =
                    format!("pull Secrets in namespace {namespace} are not used: {error}");
                self.told.note(namespace, Some(trouble));
                read(Arc::default())
            }
            Err(error) => {
                let before = before.filter(|_| error.says_nothing());
                let what = match before {
                    Some(_) => "cannot be read again, and is used as it was",
                    None => "is not used",
                };
                let trouble = format!("pull Secret {place} {what}: {}", Chain(&error));
                self.told.note(&place, Some(trouble));
                let keyring = before.map(|before| Arc::clone(&before.keyring));
                Read {
                    // So that a refusal of what was read before stands
                    begun: before.map_or(begun, |before| before.begun),
                    failed: error.says_nothing(),
                    ..read(keyring.unwrap_or_default())
                }
            }
        }
    }
}

impl Read {
    /// Recent enough, with a registry's last refusal of what the Secret held.
    fn is_trusted(&self, refused: Option<Timestamp>, seed: u64) -> bool {
        let was_refused = refused.is_some_and(|asked| asked >= self.begun);
        let kept = match (self.failed, was_refused, self.unchanged) {
            (true, _, _) => FAILED,
            (false, false, _) => KEPT,
            (false, true, 0) => Duration::ZERO,
            (false, true, unchanged) => REFUSED.delay(unchanged, seed),
        };
        self.at.elapsed() < kept
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
