//! How many requests are in flight to one host at once, and in which order.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{AcquireError, Mutex, MutexGuard, Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

use super::circuit::Circuit;
use crate::{error::repr::Repr, observer::Operation};

/// After such a pause one request goes ahead of the others, so that they find its connection instead of opening one
/// each.
const PAUSE: Duration = Duration::from_secs(10);

/// The others wait for it no longer than this: the one ahead may have asked for something slow.
pub(crate) const LEAD: Duration = Duration::from_secs(2);

/// A caller that waits for a permit gives up when the host has answered nobody for so long.
const SILENCE: Duration = Duration::from_secs(15);

/// The permits of one host.
pub(crate) struct Permits {
    slots: Semaphore,
    /// Of the requests that begin something, the next one.
    next: Mutex<()>,
    first: Mutex<()>,
}

/// The permit for one request in flight.
pub(crate) struct Permit<'a> {
    _slot: SemaphorePermit<'a>,
    _first: Option<MutexGuard<'a, ()>>,
}

impl Permits {
    pub(crate) fn new(max_concurrent_requests: usize) -> Self {
        Self {
            slots: Semaphore::new(max_concurrent_requests.min(Semaphore::MAX_PERMITS)),
            next: Mutex::new(()),
            first: Mutex::new(()),
        }
    }

    /// Waits for the permit to send one request.
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
            let first = circuit.queue(timeout(LEAD, self.first.lock())).await?;
            first.ok().filter(|_| !is_warm(circuit))
        };
        Ok(Permit {
            _slot: slot,
            _first: first,
        })
    }

    /// Waits for a slot. A tag's `HEAD` begins something, and manifests and tokens go on with it: they wait for one of
    /// those that begin at the most, or a hundred tags would all be asked for before the first of them is compared.
    async fn slot(&self, operation: Operation) -> Result<SemaphorePermit<'_>, AcquireError> {
        let _next = match operation {
            Operation::Head => Some(self.next.lock().await),
            Operation::Get | Operation::Token => None,
        };
        self.slots.acquire().await
    }
}

/// Waits for those ahead as long as any of them is answered.
async fn unless_silent<T>(circuit: &Circuit, wait: impl Future<Output = T>) -> Result<T, Repr> {
    let begun = Instant::now();
    tokio::pin!(wait);
    loop {
        let answered = circuit.answered().map_or(begun, |at| at.max(begun));
        let limit = answered + SILENCE;
        if limit <= Instant::now() {
            return Err(Repr::Timeout {
                after: begun.elapsed(),
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
    let answered = circuit.answered();
    answered.is_some_and(|at| at.elapsed() < PAUSE)
}
