//! What is shared by all requests to one host: connections, the queue, the back-off, and how it wants to be asked.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{AcquireError, Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    circuit::Circuit, connection::Connection, fault::Fault, hosts::Named, memory::Memory,
    observer::Operation, pull_limits::PullLimits, target::Origin,
};

/// After such a pause one request goes ahead of the others, so that they find its connection instead of opening one
/// each.
const PAUSE: Duration = Duration::from_secs(10);

/// The others wait for it no longer than this: the one ahead may have asked for something slow.
const LEAD: Duration = Duration::from_secs(2);

/// Who waits for a turn gives up when the host has answered nobody for so long.
const SILENCE: Duration = Duration::from_secs(15);

/// The first wait after a 429 that does not say how long; it doubles with each further one.
pub(crate) const FIRST_BACKOFF: Duration = Duration::from_secs(15);

/// The longest wait that a host is granted, whatever it asks for.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// One host as seen from here.
pub(crate) struct Host {
    pub(crate) origin: Origin,
    pub(crate) connection: Connection,
    /// How the host wants to be authenticated to.
    memory: Mutex<Memory>,
    pub(crate) pull_limits: PullLimits,
    slots: Semaphore,
    /// Of the questions that begin something, the one whose turn is next.
    next: tokio::sync::Mutex<()>,
    first: tokio::sync::Mutex<()>,
    introduction: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    pub(crate) circuit: Circuit,
    /// Token servers, and where it redirects to.
    pub(crate) named: Named,
}

#[derive(Default)]
struct State {
    backoff_until: Option<Instant>,
    /// Refusals for too many requests, one after the other.
    refusals: u32,
}

/// The right to have one request in flight.
pub(crate) struct Turn<'a> {
    _slot: SemaphorePermit<'a>,
    _first: Option<tokio::sync::MutexGuard<'a, ()>>,
}

impl Host {
    pub(crate) fn new(
        origin: Origin,
        connection: Connection,
        max_concurrent_requests: usize,
    ) -> Self {
        Self {
            origin,
            connection,
            memory: Mutex::default(),
            pull_limits: PullLimits::default(),
            slots: Semaphore::new(max_concurrent_requests.min(Semaphore::MAX_PERMITS)),
            next: tokio::sync::Mutex::new(()),
            first: tokio::sync::Mutex::new(()),
            introduction: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
            circuit: Circuit::new(),
            named: Named::default(),
        }
    }

    /// Waits for the right to send one request.
    pub(crate) async fn turn(&self, operation: Operation) -> Result<Turn<'_>, Fault> {
        self.check_backoff()?;
        let slot = self
            .queue(self.unless_silent(self.slot(operation)))
            .await??
            .map_err(|closed| Fault::Transport(Arc::new(closed)))?;
        let first = if self.is_warm() {
            None
        } else {
            let first = self.queue(timeout(LEAD, self.first.lock())).await?;
            first.ok().filter(|_| !self.is_warm())
        };
        // The wait may have been long, and the one before may have been told to go away.
        self.check_backoff()?;
        Ok(Turn {
            _slot: slot,
            _first: first,
        })
    }

    /// Waits for room. A tag's `HEAD` begins something, and manifests and tokens go on with it: they wait for one of
    /// those that begin at the most, or a hundred tags would all be asked for before the first of them is compared.
    async fn slot(&self, operation: Operation) -> Result<SemaphorePermit<'_>, AcquireError> {
        let _next = match operation {
            Operation::Head => Some(self.next.lock().await),
            Operation::Get | Operation::Token => None,
        };
        self.slots.acquire().await
    }

    /// Until the host has answered once, one caller at a time goes ahead, so that the others learn from it how to
    /// authenticate instead of being told one by one.
    pub(crate) async fn introduction(
        &self,
    ) -> Result<Option<tokio::sync::MutexGuard<'_, ()>>, Fault> {
        if self.is_known() {
            return Ok(None);
        }
        let ahead = self.queue(timeout(LEAD, self.introduction.lock())).await?;
        Ok(ahead.ok().filter(|_| !self.is_known()))
    }

    /// Waits in a queue for this host, and not longer than until it is left alone.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Fault> {
        self.circuit.queue(wait).await
    }

    /// Waits for those ahead as long as any of them is answered.
    async fn unless_silent<T>(&self, wait: impl Future<Output = T>) -> Result<T, Fault> {
        let begun = Instant::now();
        tokio::pin!(wait);
        loop {
            let answered = self.circuit.answered().map_or(begun, |at| at.max(begun));
            let limit = answered + SILENCE;
            if limit <= Instant::now() {
                return Err(Fault::Timeout {
                    after: begun.elapsed(),
                });
            }
            tokio::select! {
                biased;
                turn = &mut wait => return Ok(turn),
                () = sleep_until(limit) => {}
            }
        }
    }

    /// The host has answered, and not with 429. Tells whether a back-off is over.
    pub(crate) fn answered(&self, now: Instant) -> bool {
        let mut state = self.state();
        // What was in flight when the back-off began does not end it.
        if state.backoff_until.is_some_and(|until| now < until) {
            return false;
        }
        state.refusals = 0;
        state.backoff_until.take().is_some()
    }

    /// The host refuses requests for a while; returns for how long it is left alone.
    pub(crate) fn back_off(&self, now: Instant, asked: Option<Duration>) -> Duration {
        let mut state = self.state();
        let own = FIRST_BACKOFF.saturating_mul(1 << state.refusals.min(16));
        // Requests that were in flight together are refused for one reason and count once.
        if state.backoff_until.is_none_or(|until| until <= now) {
            state.refusals = state.refusals.saturating_add(1);
        }
        let wait = asked
            .unwrap_or(own)
            .clamp(Duration::from_secs(1), MAX_BACKOFF);
        // Answers of requests that were in flight together do not shorten what another one asked for.
        let until = state
            .backoff_until
            .map_or(now + wait, |until| until.max(now + wait));
        state.backoff_until = Some(until);
        until.duration_since(now)
    }

    /// How the host wants to be asked.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_backoff(&self) -> Result<(), Fault> {
        let now = Instant::now();
        match self.state().backoff_until {
            Some(until) if now < until => Err(Fault::RateLimited {
                retry_after: until.duration_since(now),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the host has ever answered.
    pub(crate) fn is_known(&self) -> bool {
        self.circuit.answered().is_some()
    }

    fn is_warm(&self) -> bool {
        let answered = self.circuit.answered();
        answered.is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
