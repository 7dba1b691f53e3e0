//! The cache of one credential: a single fetch for all callers, refreshed before it expires, with backoff after failures.

mod state;

use std::sync::Arc;

use kube_autorollout_registry::{Credential, IssuedCredential, ProviderError};
use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, task::JoinSet, time::Instant};
use tracing::{debug, info, warn};

use self::state::{Action, State};
use crate::{cloud::Cloud, failure::Failure, grant::Grant, observer::RefreshObserver};

/// The cache entry of one credential.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    state: Arc<Mutex<State>>,
    /// Held by the only task that fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
    /// That task, which is aborted when the entry is dropped.
    tasks: Mutex<JoinSet<()>>,
}

/// The cloud of a credential, and the observer of its refreshes.
pub(crate) type Origin = (Cloud, Arc<dyn RefreshObserver>);

/// A fetch in flight.
struct Fetch {
    origin: Origin,
    state: Arc<Mutex<State>>,
    /// The fetch replaces a credential that a registry rejected.
    replaces: bool,
    _flight: OwnedMutexGuard<()>,
}

impl Entry {
    /// Returns the cached credential, unless it is the one that was `refused`, or fetches one. The fetch continues if the caller
    /// is dropped.
    pub(crate) async fn get<F>(
        self: Arc<Self>,
        origin: Origin,
        refused: Option<&Credential>,
        fetch: impl Fn() -> F,
    ) -> Result<IssuedCredential, ProviderError>
    where
        F: Future<Output = Result<Grant, Failure>> + Send + 'static,
    {
        let mut fetched = false;
        loop {
            match self.next(refused) {
                Action::Use(issued) => return Ok(issued),
                Action::Fail(error) => return Err(error),
                Action::UseAndRefresh(issued) => {
                    // The previous holder of the lock may have refreshed it.
                    if let Ok(flight) = Arc::clone(&self.flight).try_lock_owned()
                        && matches!(self.next(refused), Action::UseAndRefresh(_))
                    {
                        self.spawn(origin, flight, false, fetch());
                    }
                    return Ok(issued);
                }
                Action::Fetch if fetched => {
                    let advice = "see the log of the controller for a panic";
                    return Err(ProviderError::new("the fetch of a token broke off", advice));
                }
                Action::Fetch => {}
            }
            let flight = Arc::clone(&self.flight).lock_owned().await;
            // The previous holder of the lock may have fetched it.
            if matches!(self.next(refused), Action::Fetch) {
                self.spawn(origin.clone(), flight, refused.is_some(), fetch());
                fetched = true;
                drop(self.flight.lock().await); // wait for the task
            }
        }
    }

    fn next(&self, refused: Option<&Credential>) -> Action {
        self.state.lock().next(refused, Instant::now())
    }

    fn spawn(
        &self,
        origin: Origin,
        flight: OwnedMutexGuard<()>,
        replaces: bool,
        fetching: impl Future<Output = Result<Grant, Failure>> + Send + 'static,
    ) {
        let fetch = Fetch {
            origin,
            state: Arc::clone(&self.state),
            replaces,
            _flight: flight,
        };
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let fetched = fetching.await;
            fetch.finish(fetched);
        });
    }
}

impl Fetch {
    /// Stores the result and logs changes.
    fn finish(self, fetched: Result<Grant, Failure>) {
        let (cloud, observer) = &self.origin;
        observer.refreshed(*cloud, fetched.is_ok());
        let now = Instant::now();
        match fetched {
            Ok(grant) => {
                let seconds = grant.expires_in.as_secs();
                let recovered = self.state.lock().succeed(grant, self.replaces, now);
                if recovered {
                    info!(%cloud, "the cloud issues tokens again");
                }
                debug!(%cloud, seconds, "the cloud has issued a token");
            }
            Err(failure) => {
                let (error, is_new) = self.state.lock().fail(&failure, now);
                if is_new {
                    let advice = error.advice();
                    warn!(%cloud, reason = "CloudIdentity", "no token was issued: {error}; {advice}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
