//! Workloads whose last reconcile failed, and when each is tried again.
//!
//! Each failure in a row doubles the wait, as nobody knows what it needs. When the API server was away and is back, that
//! is known: then all who wait are tried again soon, spread a little, as the API server has more to do then than ever.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube_autorollout_core::{backoff::Backoff, schedule};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{controller::triggers::Wake, workload::identity::Identity};

/// How soon a failed reconcile is tried again, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// Over which those who wait are spread when the API server answers again.
const SPREAD: Duration = Duration::from_secs(2);

/// Who waits to be tried again.
pub(crate) struct Retries {
    wake: Arc<Wake>,
    answered: Notify,
    /// With the reconciles in a row that ended with an error.
    waiting: Mutex<HashMap<Identity, u32>>,
}

impl Retries {
    /// Nobody waits.
    pub(crate) fn new(wake: Arc<Wake>) -> Self {
        Self {
            wake,
            answered: Notify::new(),
            waiting: Mutex::default(),
        }
    }

    /// The reconcile of a workload failed; says when to try it again.
    pub(crate) fn failed(&self, identity: &Identity) -> Duration {
        let mut waiting = self.lock();
        let failures = waiting.entry(identity.clone()).or_default();
        *failures = failures.saturating_add(1);
        RETRY.delay(*failures, schedule::seed(&identity.uid))
    }

    /// A workload was reconciled, or is left alone from now on.
    pub(crate) fn over(&self, identity: &Identity) {
        self.lock().remove(identity);
    }

    /// The API server answers again.
    pub(crate) fn answered(&self) {
        self.answered.notify_one();
    }

    /// Wakes those who wait, each time that the API server answers again.
    pub(crate) async fn keep_waking(&self) {
        loop {
            self.answered.notified().await;
            let begun = Instant::now();
            for (after, identity) in self.turns() {
                sleep_until(begun + after).await;
                if self.lock().contains_key(&identity) {
                    self.wake.all(&HashSet::from([identity]));
                }
            }
        }
    }

    /// Who waits, and when each is to be woken, the first one first.
    fn turns(&self) -> Vec<(Duration, Identity)> {
        let waiting = self.lock();
        let mut turns: Vec<_> = waiting
            .keys()
            .map(|identity| {
                let after = schedule::place(schedule::seed(&identity.uid), SPREAD);
                (after, identity.clone())
            })
            .collect();
        turns.sort_by_key(|(after, _)| *after);
        turns
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Identity, u32>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::StreamExt as _;
    use tokio::time::timeout;

    use super::*;

    fn workload(number: usize) -> Identity {
        Identity::deployment("shop", &format!("web-{number}"))
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_woken_in_turn_when_the_api_server_answers_and_nobody_else_is() {
        let wake = Arc::new(Wake::default());
        let mut woken = Box::pin(wake.triggers(&("Deployment", None)));
        let retries = Retries::new(wake);
        for number in 0..20 {
            retries.failed(&workload(number));
        }
        retries.over(&workload(0));
        retries.answered();
        let begun = Instant::now();
        let mut times = Vec::new();
        let mut names = BTreeSet::new();
        let watched = async {
            for _ in 1..20 {
                let identity = woken.next().await.expect("one that waits");
                names.insert(identity.name.to_string());
                times.push(begun.elapsed());
            }
        };
        tokio::select! {
            () = retries.keep_waking() => unreachable!("it goes on for ever"),
            () = watched => {}
        }
        let expected: BTreeSet<_> = (1..20).map(|number| format!("web-{number}")).collect();
        assert_eq!(names, expected);
        assert!(times.last() < Some(&SPREAD), "{times:?}");
        let distinct: BTreeSet<_> = times.iter().collect();
        assert!(distinct.len() > 10, "{times:?}");
        let more = timeout(Duration::from_secs(60), woken.next()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[test]
    fn each_failure_in_a_row_doubles_the_wait() {
        let retries = Retries::new(Arc::default());
        let web = workload(1);
        let waits: Vec<_> = (0..12).map(|_| retries.failed(&web)).collect();
        assert!(waits[0] <= Duration::from_secs(1) && waits[11] > Duration::from_secs(45));
        assert!(
            waits.is_sorted() && waits[11] <= Duration::from_secs(60),
            "{waits:?}"
        );
        retries.over(&web);
        assert_eq!(retries.failed(&web), waits[0]);
    }
}
