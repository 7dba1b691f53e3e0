//! The circuit breakers of one host: one for the host, and one for each repository that times out while others respond.

use std::{collections::HashMap, future::Future, time::Duration};

use http::{StatusCode, Uri};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{
    circuit_breaker::{Admission, CircuitBreaker},
    response::is_transient,
};
use crate::error::repr::Repr;

/// Paths of one host with a breaker of their own.
const MAX_PATHS: usize = 256;

/// The circuit breakers of one host.
pub(crate) struct CircuitBreakers {
    state: Mutex<State>,
    /// Wakes the queue to check the breaker again.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    host: CircuitBreaker,
    /// By the path of the repository, or of a token server's realm.
    paths: HashMap<String, CircuitBreaker>,
    /// When the host last sent the head of a response.
    last_response: Option<Instant>,
}

/// Permission to send one request, whose result is to be reported. Dropping it reports nothing.
pub(crate) struct Pass<'a> {
    breakers: &'a CircuitBreakers,
    path: String,
    started: Instant,
    of_host: Admission,
    of_path: Admission,
    is_reported: bool,
}

/// A change that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The host gets no requests for this time.
    Opened(Duration),
    /// The host gets requests again.
    Closed,
}

impl CircuitBreakers {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// When the host last sent the head of a response.
    pub(crate) fn last_response(&self) -> Option<Instant> {
        self.state.lock().last_response
    }

    /// Waits in a queue of this host. Fails as soon as the breaker opens.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Repr> {
        let mut changed = self.changed.subscribe();
        tokio::pin!(wait);
        loop {
            self.state.lock().host.check(Instant::now())?;
            tokio::select! {
                biased; // the failed caller releases its permit at the same time, and the next one would fail, too
                _ = changed.changed() => {}
                output = &mut wait => return Ok(output),
            }
        }
    }

    /// Admits a request to a URL.
    pub(crate) fn admit(&self, uri: &Uri) -> Result<Pass<'_>, Repr> {
        let now = Instant::now();
        let path = path(uri);
        let mut state = self.state.lock();
        // A request that the path's breaker refuses must not become the probe of the host.
        if let Some(breaker) = state.paths.get(path) {
            breaker.check(now)?;
        }
        let of_host = state.host.admit(now)?;
        let of_path = match state.paths.get_mut(path) {
            Some(breaker) => breaker.admit(now)?,
            None => Admission::Free,
        };
        drop(state);
        if of_host == Admission::Probe {
            // The queue fails at once instead of waiting for the probe.
            self.changed.send_replace(());
        }
        Ok(Pass {
            breakers: self,
            path: path.to_owned(),
            started: now,
            of_host,
            of_path,
            is_reported: false,
        })
    }

    /// How long until a request may be sent to a URL.
    pub(crate) fn remaining(&self, uri: &Uri) -> Duration {
        let now = Instant::now();
        let state = self.state.lock();
        let of_path = state.paths.get(path(uri));
        let of_path = of_path.map(|breaker| breaker.remaining(now));
        state.host.remaining(now).max(of_path.unwrap_or_default())
    }
}

impl Pass<'_> {
    /// The head of a response arrived.
    pub(crate) fn head_arrived(&self) {
        self.breakers.state.lock().last_response = Some(Instant::now());
    }

    /// A complete response arrived. Returns the change of the host's breaker, if any.
    pub(crate) fn responded(mut self, status: StatusCode) -> Option<Change> {
        self.is_reported = true;
        let now = Instant::now();
        let mut state = self.breakers.state.lock();
        state.last_response = Some(now);
        state.paths.remove(&self.path);
        if !is_transient(status) {
            return state.host.succeeded().then_some(Change::Closed);
        }
        let opened = state.host.failed(self.of_host, &Repr::Status(status), now);
        drop(state);
        self.opened(opened)
    }

    /// The request failed. `is_full_timeout`: a timeout was not cut short by the call's own limit. Returns the change of the
    /// host's breaker, if any.
    pub(crate) fn failed(mut self, repr: &Repr, is_full_timeout: bool) -> Option<Change> {
        let now = Instant::now();
        let mut state = self.breakers.state.lock();
        let responds_to_others = state.last_response.is_some_and(|at| at >= self.started);
        let opened = match repr {
            Repr::Timeout { .. } if !is_full_timeout => return None,
            // Only this path is slow.
            Repr::Timeout { .. } if responds_to_others => {
                state.fail_path(&self.path, self.of_path, repr, now);
                match self.of_host {
                    Admission::Probe => state.host.failed(self.of_host, repr, now),
                    Admission::Free => None,
                }
            }
            Repr::Timeout { .. } | Repr::ConnectTimeout { .. } => {
                let probed = state.host.failed(self.of_host, repr, now);
                if matches!(repr, Repr::Timeout { .. }) {
                    state.fail_path(&self.path, self.of_path, repr, now);
                } else {
                    state.abandon_path(&self.path, self.of_path);
                }
                probed.or_else(|| state.host.trip(repr, now))
            }
            Repr::Connect(_) | Repr::Transport(_) => {
                state.abandon_path(&self.path, self.of_path);
                state.host.failed(self.of_host, repr, now)
            }
            // A failure of the request itself proves nothing about the host.
            _ => return None,
        };
        drop(state);
        self.is_reported = true;
        self.opened(opened)
    }

    fn opened(&self, opened: Option<Duration>) -> Option<Change> {
        opened.map(|wait| {
            self.breakers.changed.send_replace(());
            Change::Opened(wait)
        })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_reported {
            return;
        }
        let mut state = self.breakers.state.lock();
        if self.of_host == Admission::Probe {
            state.host.abandoned();
        }
        state.abandon_path(&self.path, self.of_path);
    }
}

impl State {
    /// A request has no result for its path: if it was a probe, the next request is.
    fn abandon_path(&mut self, path: &str, admission: Admission) {
        if admission == Admission::Probe
            && let Some(breaker) = self.paths.get_mut(path)
        {
            breaker.abandoned();
        }
    }

    fn fail_path(&mut self, path: &str, admission: Admission, repr: &Repr, now: Instant) {
        if !self.paths.contains_key(path) && self.paths.len() >= MAX_PATHS {
            self.paths.retain(|_, breaker| breaker.check(now).is_err());
            if self.paths.len() >= MAX_PATHS {
                return;
            }
        }
        let breaker = self.paths.entry(path.to_owned()).or_default();
        if breaker.failed(admission, repr, now).is_none() {
            breaker.trip(repr, now);
        }
    }
}

/// The part of a URL that has a breaker of its own: a repository, or a token server's realm.
fn path(uri: &Uri) -> &str {
    let path = uri.path();
    path.split_once("/manifests/")
        .map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests;
