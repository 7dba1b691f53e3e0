//! Pull Secrets, kept for a while after they were read.
//!
//! A Secret that no registry refuses is read once in ten minutes. One that is refused is read again at once, as it may have
//! been rotated; while that changes nothing, for hours perhaps, it is read ever more seldom, however many workloads and
//! images ask for it at each check.

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
    reader: Arc<Reader>,
    kept: Arc<SingleFlight<Name, Read>>,
    /// The last time that a registry refused what each holds.
    refused: Mutex<HashMap<Name, Timestamp>>,
}

struct Reader {
    client: Client,
    problems: Problems,
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
    pub(super) fn new(client: Client, fetches: &Fetches) -> Self {
        let problems = Problems::default();
        Self {
            reader: Arc::new(Reader { client, problems }),
            kept: SingleFlight::new(fetches.clone()),
            refused: Mutex::default(),
        }
    }

    /// What the Secrets of these names hold together; nothing while one of them is being read. One that is missing or
    /// malformed is reported and left out: the kubelet would fail or go on without it, and we only read.
    pub(super) fn lookup(
        &self,
        namespace: &str,
        names: &[String],
        waiter: &Waiter,
    ) -> Option<Keyring> {
        let mut keyring = Some(Keyring::default());
        for name in names {
            // All of them are read at once.
            let secret = self.secret(namespace, name, waiter);
            keyring = keyring.zip(secret).map(|(mut keyring, secret)| {
                keyring.extend(&secret);
                keyring
            });
        }
        keyring
    }

    /// What was read of the Secrets last, however long ago.
    pub(super) fn known(&self, namespace: &str, names: &[String]) -> Keyring {
        let mut keyring = Keyring::default();
        for name in names {
            if let Some(read) = self.kept.known(&(namespace.to_owned(), name.clone())) {
                keyring.extend(&read.keyring);
            }
        }
        keyring
    }

    /// A registry refused what it was asked at `asked`: what was read before is not trusted any more.
    pub(super) fn distrust(&self, namespace: &str, names: &[String], asked: Timestamp) {
        let mut refused = self.refused.lock();
        for name in names {
            let name = (namespace.to_owned(), name.clone());
            if self.kept.contains(&name) {
                let last = refused.entry(name).or_insert(asked);
                *last = asked.max(*last);
            }
        }
    }

    /// Drops what nobody has asked for lately.
    pub(super) fn tidy(&self) {
        self.kept.retain(|_, unused| unused < UNUSED);
        self.refused
            .lock()
            .retain(|name, _| self.kept.contains(name));
        self.reader.problems.tidy();
    }

    fn secret(&self, namespace: &str, name: &str, waiter: &Waiter) -> Option<Arc<Keyring>> {
        let key = (namespace.to_owned(), name.to_owned());
        let refused = self.refused.lock().get(&key).copied();
        let seed = schedule::seed(name);
        let is_good = |read: &Read| read.is_trusted(refused, seed);
        let read = self.kept.lookup(&key, waiter, is_good, |before| {
            let (reader, name) = (Arc::clone(&self.reader), key.clone());
            async move { reader.read(&name, refused, before).await }
        });
        read.map(|read| read.keyring)
    }
}

impl Reader {
    async fn read(&self, name: &Name, refused: Option<Timestamp>, before: Option<Read>) -> Read {
        let begun = clock::now();
        let got = pull_secret::get(&self.client, &name.0, &name.1).await;
        let now = self.judged(got, begun, before.as_ref(), (&name.0, &name.1));
        let was_refused = |before: &Read| refused.is_some_and(|asked| asked >= before.begun);
        let unchanged = before
            .filter(|before| before.keyring == now.keyring && was_refused(before))
            .map_or(0, |before| before.unchanged.saturating_add(1));
        Read { unchanged, ..now }
    }

    /// What is known of a Secret after an attempt to read it, which is logged where that is news.
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
                self.problems.note(&place, None);
                read(Arc::new(keyring))
            }
            Err(error @ Error::Forbidden) => {
                let problem =
                    format!("pull Secrets in namespace {namespace} are not used: {error}");
                self.problems.note(namespace, Some(problem));
                read(Arc::default())
            }
            Err(error) => {
                let before = before.filter(|_| error.says_nothing());
                let what = match before {
                    Some(_) => "cannot be read again, and is used as it was",
                    None => "is not used",
                };
                let problem = format!("pull Secret {place} {what}: {}", Chain(&error));
                self.problems.note(&place, Some(problem));
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

#[cfg(test)]
mod tests;
