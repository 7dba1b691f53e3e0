//! Limits the requests in flight to one host, and orders them.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{AcquireError, Mutex, MutexGuard, Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

use super::circuit::Circuit;
use crate::{error::repr::Repr, observer::Operation};

/// After such a pause one request is sent first, so that the others reuse its connection instead of opening one each.
const PAUSE: Duration = Duration::from_secs(10);

/// How long the others wait for it: it may be a slow one.
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);

/// A caller that waits for a permit fails when the host has answered no request for this time.
const SILENCE: Duration = Duration::from_secs(15);

/// The permits of one host.
pub(crate) struct Permits {
    slots: Semaphore,
    /// Held by the next HEAD that waits for a slot.
    next_head: Mutex<()>,
    /// Held by the first request after a pause.
    first: Mutex<()>,
}

/// Permission to have one request in flight.
pub(crate) struct Permit<'a> {
    _slot: SemaphorePermit<'a>,
    _first: Option<MutexGuard<'a, ()>>,
}

impl Permits {
    pub(crate) fn new(max_concurrent_requests: usize) -> Self {
        Self {
            slots: Semaphore::new(max_concurrent_requests.min(Semaphore::MAX_PERMITS)),
            next_head: Mutex::new(()),
            first: Mutex::new(()),
        }
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(
        &self,
        operation: Operation,
        circuit: &Circuit,
    ) -> Result<Permit<'_>, Repr> {
        let slot = circuit
            .queue(unless_silent(circuit, self.slot(operation)))
            .await??
            .map_err(|closed| Repr::Transport(Arc::new(closed)))?;
        let first = if is_warm(circuit) {
            None
        } else {
            let first = circuit
                .queue(timeout(FIRST_TIMEOUT, self.first.lock()))
                .await?;
            first.ok().filter(|_| !is_warm(circuit))
        };
        Ok(Permit {
            _slot: slot,
            _first: first,
        })
    }

    /// Waits for a slot. Manifests and tokens complete what the `HEAD` of a tag began, so they wait for one `HEAD` at most:
    /// else a hundred tags would all be requested before the first is compared.
    async fn slot(&self, operation: Operation) -> Result<SemaphorePermit<'_>, AcquireError> {
        let _next_head = match operation {
            Operation::Head => Some(self.next_head.lock().await),
            Operation::Get | Operation::Token => None,
        };
        self.slots.acquire().await
    }
}

/// Waits as long as other requests are answered.
async fn unless_silent<T>(circuit: &Circuit, wait: impl Future<Output = T>) -> Result<T, Repr> {
    let started = Instant::now();
    tokio::pin!(wait);
    loop {
        let last_response = circuit.last_response().unwrap_or(started);
        let limit = last_response.max(started) + SILENCE;
        if limit <= Instant::now() {
            return Err(Repr::Timeout {
                after: started.elapsed(),
            });
        }
        tokio::select! {
            biased;
            slot = &mut wait => return Ok(slot),
            () = sleep_until(limit) => {}
        }
    }
}

fn is_warm(circuit: &Circuit) -> bool {
    let last_response = circuit.last_response();
    last_response.is_some_and(|at| at.elapsed() < PAUSE)
}
