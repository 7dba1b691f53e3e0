//! One credential that a cloud has issued: fetched once for all who need it, ahead of its end, and not again and again
//! while that fails.

mod state;

use std::sync::Arc;

use kube_autorollout_registry::{Credential, Issued, ProviderError};
use parking_lot::Mutex;
use tokio::{sync::OwnedMutexGuard, task::JoinSet, time::Instant};
use tracing::{debug, info, warn};

use self::state::{Next, State};
use crate::{cloud::Cloud, failure::Failure, grant::Grant, observer::RefreshObserver};

/// What is kept of one credential.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    state: Arc<Mutex<State>>,
    /// Held by the one task that fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
    /// That task; it ends with the entry.
    tasks: Mutex<JoinSet<()>>,
}

/// Of which cloud a credential is, and who is notified.
pub(crate) type About = (Cloud, Arc<dyn RefreshObserver>);

/// What a task needs that fetches.
struct Fetch {
    about: About,
    state: Arc<Mutex<State>>,
    /// A registry has refused what is kept.
    replaces: bool,
    _flight: OwnedMutexGuard<()>,
}

impl Entry {
    /// The credential: the one that is kept, unless it is the one that was `refused`, or one that is fetched now. What
    /// was begun goes on if the caller does not wait for it.
    pub(crate) async fn get<F>(
        self: Arc<Self>,
        about: About,
        refused: Option<&Credential>,
        fetch: impl Fn() -> F,
    ) -> Result<Issued, ProviderError>
    where
        F: Future<Output = Result<Grant, Failure>> + Send + 'static,
    {
        let mut begun = false;
        loop {
            match self.next(refused) {
                Next::Use(issued) => return Ok(issued),
                Next::Fail(error) => return Err(error),
                Next::UseAndRefresh(issued) => {
                    // One that held it until now may have refreshed it.
                    if let Ok(flight) = Arc::clone(&self.flight).try_lock_owned()
                        && matches!(self.next(refused), Next::UseAndRefresh(_))
                    {
                        self.spawn(about, flight, false, fetch());
                    }
                    return Ok(issued);
                }
                Next::Fetch if begun => {
                    let advice = "see the log of the controller for a panic";
                    return Err(ProviderError::new("the fetch of a token broke off", advice));
                }
                Next::Fetch => {}
            }
            let flight = Arc::clone(&self.flight).lock_owned().await;
            // The one before may have fetched it.
            if matches!(self.next(refused), Next::Fetch) {
                self.spawn(about.clone(), flight, refused.is_some(), fetch());
                begun = true;
                drop(self.flight.lock().await); // until it has ended
            }
        }
    }

    fn next(&self, refused: Option<&Credential>) -> Next {
        self.state.lock().next(refused, Instant::now())
    }

    fn spawn(
        &self,
        about: About,
        flight: OwnedMutexGuard<()>,
        replaces: bool,
        fetching: impl Future<Output = Result<Grant, Failure>> + Send + 'static,
    ) {
        let fetch = Fetch {
            about,
            state: Arc::clone(&self.state),
            replaces,
            _flight: flight,
        };
        let mut tasks = self.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let fetched = fetching.await;
            fetch.end(fetched);
        });
    }
}

impl Fetch {
    /// Keeps what came of it, and says so.
    fn end(self, fetched: Result<Grant, Failure>) {
        let (cloud, observer) = &self.about;
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
                let (error, news) = self.state.lock().fail(&failure, now);
                if news {
                    let advice = error.advice();
                    warn!(%cloud, reason = "CloudIdentity", "no token was issued: {error}; {advice}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
