//! Limits the requests in flight to one host, and orders them.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{AcquireError, Mutex, MutexGuard, Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

use super::circuit_breakers::CircuitBreakers;
use crate::{error::repr::Repr, observer::Operation};

/// After such a pause one request is sent first, so that the others reuse its connection instead of opening one each.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the others wait for it: it may be a slow one.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// A caller that waits for a permit fails when the host has responded to no request for this time.
const SILENCE: Duration = Duration::from_secs(15);

/// The permits of one host.
pub(crate) struct Permits {
    semaphore: Semaphore,
    /// Held by the next HEAD that waits for a permit.
    next_head: Mutex<()>,
    /// Held by the first request after a pause.
    first: Mutex<()>,
}

/// Permission to have one request in flight.
pub(crate) struct Permit<'a> {
    _permit: SemaphorePermit<'a>,
    _first: Option<MutexGuard<'a, ()>>,
}

impl Permits {
    pub(crate) fn new(max_concurrent_requests: usize) -> Self {
        Self {
            semaphore: Semaphore::new(max_concurrent_requests.min(Semaphore::MAX_PERMITS)),
            next_head: Mutex::new(()),
            first: Mutex::new(()),
        }
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(
        &self,
        operation: Operation,
        breakers: &CircuitBreakers,
    ) -> Result<Permit<'_>, Repr> {
        let permit = breakers
            .queue(unless_silent(breakers, self.permit(operation)))
            .await??
            .map_err(|closed| Repr::Transport(Arc::new(closed)))?;
        let first = if is_warm(breakers) {
            None
        } else {
            let first = breakers
                .queue(timeout(FIRST_TIMEOUT, self.first.lock()))
                .await?;
            first.ok().filter(|_| !is_warm(breakers))
        };
        Ok(Permit {
            _permit: permit,
            _first: first,
        })
    }

    /// Waits for a permit of the semaphore. Manifests and tokens complete what the `HEAD` of a tag began, so they wait for one
    /// `HEAD` at most: else a hundred tags would all be requested before the first is compared.
    async fn permit(&self, operation: Operation) -> Result<SemaphorePermit<'_>, AcquireError> {
        let _next_head = match operation {
            Operation::Head => Some(self.next_head.lock().await),
            Operation::Get | Operation::Token => None,
        };
        self.semaphore.acquire().await
    }
}

/// Waits as long as other requests get responses.
async fn unless_silent<T>(
    breakers: &CircuitBreakers,
    wait: impl Future<Output = T>,
) -> Result<T, Repr> {
    let started = Instant::now();
    tokio::pin!(wait);
    loop {
        let last_response = breakers.last_response().unwrap_or(started);
        let limit = last_response.max(started) + SILENCE;
        if limit <= Instant::now() {
            return Err(Repr::Timeout {
                after: started.elapsed(),
            });
        }
        tokio::select! {
            biased;
            permit = &mut wait => return Ok(permit),
            () = sleep_until(limit) => {}
        }
    }
}

fn is_warm(breakers: &CircuitBreakers) -> bool {
    let last_response = breakers.last_response();
    last_response.is_some_and(|at| at.elapsed() < PAUSE)
}
