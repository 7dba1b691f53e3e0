//! A watch that the API server does not answer, and what is told of it.
//!
//! A watch that goes on where it was passes nothing on until something happens, perhaps for days, so that it goes on is
//! seen at the answer itself.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Request;
use kube::{
    Client,
    client::Body,
    runtime::utils::{Backoff as WatchBackoff, ResetTimerBackoff},
};
use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::time::Instant;
use tower::service_fn;
use tracing::{info, warn};

use super::is_watch;
use crate::{controller::retry::Retries, server::health::Watch};

/// How soon a watch is tried again, and at the latest: what happens is learnt no sooner after an outage.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));

/// After so long without an error, the next one is the first.
const FORGIVEN: Duration = Duration::from_secs(60);

/// The same trouble again is not told anew within this time, whatever was well in between.
const TOLD: Duration = Duration::from_secs(10 * 60);

/// What is known of the way to the API server by one watch.
pub(super) struct Outage {
    watch: Watch,
    retries: Arc<Retries>,
    trouble: Mutex<Trouble>,
}

#[derive(Default)]
struct Trouble {
    /// The last error, until there is an answer.
    error: Option<String>,
    /// What was told last, and when.
    told: Option<(String, Instant)>,
    /// It was told of the present trouble, so its end is told, too.
    open: bool,
}

impl Outage {
    /// None yet. Whoever waits in `retries` is tried again when one ends.
    pub(super) fn new(watch: Watch, retries: Arc<Retries>) -> Self {
        Self {
            watch,
            retries,
            trouble: Mutex::default(),
        }
    }

    /// The watch failed.
    pub(super) fn failed(&self, text: &str) {
        if self.lock().failed(text, Instant::now()) {
            let (kind, namespace) = (self.watch.0, &self.watch.1);
            warn!(kind, namespace, "cannot watch: {text}");
        }
    }

    /// The API server answered a request to watch.
    fn answered(&self) {
        let mut trouble = self.lock();
        if trouble.error.take().is_none() {
            return;
        }
        let tell = std::mem::take(&mut trouble.open);
        drop(trouble);
        if tell {
            info!(
                kind = self.watch.0,
                namespace = self.watch.1,
                "watching again"
            );
        }
        self.retries.answered();
    }

    /// A client by which it is noticed that the API server answers.
    pub(super) fn noticed(self: &Arc<Self>, client: &Client) -> Client {
        let (outage, client) = (Arc::clone(self), client.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (outage, client) = (Arc::clone(&outage), client.clone());
            let is_watch = is_watch(&request);
            async move {
                let answer = client.send(request).await?;
                if is_watch && answer.status().is_success() {
                    outage.answered();
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, String::new())
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    /// Notes an error, and whether it is to be told.
    fn failed(&mut self, text: &str, now: Instant) -> bool {
        let same = self.error.as_deref() == Some(text);
        self.error = Some(text.to_owned());
        let told = self.told.as_ref();
        let lately = told.is_some_and(|(told, at)| told == text && now < *at + TOLD);
        if same || lately {
            return false;
        }
        self.told = Some((text.to_owned(), now));
        self.open = true;
        true
    }
}

/// The pace at which a watch that fails is tried again.
pub(super) fn pace(watch: &Watch) -> impl WatchBackoff + use<> {
    let seed = schedule::seed(watch.1.as_deref().unwrap_or_default()) ^ schedule::seed(watch.0);
    ResetTimerBackoff::new(Pace { failures: 0, seed }, FORGIVEN)
}

struct Pace {
    failures: u32,
    seed: u64,
}

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        Some(RETRY.delay(self.failures, self.seed))
    }
}

impl WatchBackoff for Pace {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_until_another_comes_or_some_time_has_passed() {
        let begun = Instant::now();
        let second = |second| begun + Duration::from_secs(second);
        let mut trouble = Trouble::default();
        assert!(trouble.failed("refused", second(0)));
        assert!(!trouble.failed("refused", second(1)));
        assert!(trouble.failed("expired", second(2)), "another");
        trouble.error = None;
        assert!(!trouble.failed("expired", second(3)), "it comes and goes");
        trouble.error = None;
        assert!(trouble.failed("expired", second(2) + TOLD));
        assert!(
            !trouble.failed("expired", second(3) + 2 * TOLD),
            "the same outage"
        );
    }

    #[test]
    fn a_watch_is_tried_again_within_ten_seconds_however_long_it_fails() {
        let mut pace = pace(&("Deployment", None));
        let waits: Vec<_> = pace.by_ref().take(20).collect();
        assert!(waits[0] <= Duration::from_secs(1), "{waits:?}");
        assert!(waits[19] > Duration::from_secs(7), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(10)));
        pace.reset();
        assert_eq!(pace.next(), waits.first().copied());
    }
}
