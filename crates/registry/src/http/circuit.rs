//! Whether a host is asked at all: one circuit breaker for the host, and one for each repository that it does not answer
//! for while it answers for others.

use std::{collections::HashMap, future::Future, time::Duration};

use http::{StatusCode, Uri};
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{
    breaker::{Admission, Breaker, Outage},
    response::is_transient,
};
use crate::error::repr::Repr;

/// Repositories without answers that are remembered of one host.
const MAX_PATHS: usize = 256;

/// The breakers of one host.
pub(crate) struct Circuit {
    state: Mutex<State>,
    /// Wakes the queue, so that it is checked whether it makes sense to go on waiting.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    host: Breaker,
    /// By the path of the repository, or of a token server's realm.
    paths: HashMap<String, Breaker>,
    /// When the host last sent the head of a response.
    answered: Option<Instant>,
}

/// The right to send one request. Its outcome has to be reported; a request that is dropped says nothing.
pub(crate) struct Pass<'a> {
    circuit: &'a Circuit,
    path: String,
    begun: Instant,
    of_host: Admission,
    of_path: Admission,
    is_settled: bool,
}

/// A change that is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The host gets no requests for so long.
    Opened(Duration),
    /// The host is asked again as before.
    Closed,
}

impl Circuit {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// When the host last answered.
    pub(crate) fn answered(&self) -> Option<Instant> {
        self.state.lock().answered
    }

    /// Waits for something of this host, and not longer than until nobody asks it.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Repr> {
        let mut changed = self.changed.subscribe();
        tokio::pin!(wait);
        loop {
            self.state.lock().host.check(Instant::now()).map_err(down)?;
            tokio::select! {
                biased; // a caller that failed releases its permit in the same moment, and the next one would fail, too
                _ = changed.changed() => {}
                turn = &mut wait => return Ok(turn),
            }
        }
    }

    /// The right to ask for something at an address now.
    pub(crate) fn admit(&self, uri: &Uri) -> Result<Pass<'_>, Repr> {
        let now = Instant::now();
        let path = path(uri);
        let mut state = self.state.lock();
        // A request that may not be sent to the path must not become the probe of the host.
        if let Some(breaker) = state.paths.get(path) {
            breaker.check(now).map_err(down)?;
        }
        let of_host = state.host.admit(now).map_err(down)?;
        let of_path = match state.paths.get_mut(path) {
            Some(breaker) => breaker.admit(now).map_err(down)?,
            None => Admission::Free,
        };
        drop(state);
        if of_host == Admission::Probe {
            // The others need not wait for it.
            self.changed.send_replace(());
        }
        Ok(Pass {
            circuit: self,
            path: path.to_owned(),
            begun: now,
            of_host,
            of_path,
            is_settled: false,
        })
    }

    /// How long until a request may be sent to an address.
    pub(crate) fn remaining(&self, uri: &Uri) -> Duration {
        let now = Instant::now();
        let state = self.state.lock();
        let of_path = state.paths.get(path(uri));
        let outages = [Some(&state.host), of_path].into_iter().flatten();
        let outages = outages.filter_map(|breaker| breaker.check(now).err());
        let remaining = outages.map(|outage| outage.remaining);
        remaining.max().unwrap_or_default()
    }
}

impl Pass<'_> {
    /// The head of a response has come.
    pub(crate) fn head_arrived(&self) {
        self.circuit.state.lock().answered = Some(Instant::now());
    }

    /// A whole response has come. Returns whether that changes how the host is asked.
    pub(crate) fn answered(mut self, status: StatusCode) -> Option<Change> {
        self.is_settled = true;
        let now = Instant::now();
        let mut state = self.circuit.state.lock();
        state.answered = Some(now);
        state.paths.remove(&self.path);
        if !is_transient(status) {
            return state.host.succeeded().then_some(Change::Closed);
        }
        let opened = state.host.failed(self.of_host, &Repr::Status(status), now);
        drop(state);
        self.opened(opened)
    }

    /// No response has come. `is_patient`: a time-out was one of the full length. Returns whether that changes how the host is
    /// asked.
    pub(crate) fn failed(mut self, repr: &Repr, is_patient: bool) -> Option<Change> {
        let now = Instant::now();
        let mut state = self.circuit.state.lock();
        let answers_others = state.answered.is_some_and(|at| at >= self.begun);
        let opened = match repr {
            Repr::Timeout { .. } if !is_patient => return None,
            // Only this path is slow.
            Repr::Timeout { .. } if answers_others => {
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
            // What the request itself is refused for says nothing of the host.
            _ => return None,
        };
        drop(state);
        self.is_settled = true;
        self.opened(opened)
    }

    fn opened(&self, opened: Option<Duration>) -> Option<Change> {
        opened.map(|wait| {
            self.circuit.changed.send_replace(());
            Change::Opened(wait)
        })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut state = self.circuit.state.lock();
        if self.of_host == Admission::Probe {
            state.host.abandoned();
        }
        state.abandon_path(&self.path, self.of_path);
    }
}

impl State {
    /// Nothing was found out about a path: if this was its probe, the next caller is.
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

/// What of an address fails together: a repository, or all of a token server's realm.
fn path(uri: &Uri) -> &str {
    let path = uri.path();
    path.split_once("/manifests/")
        .map_or(path, |(path, _)| path)
}

fn down(outage: Outage) -> Repr {
    Repr::Down {
        repr: Box::new(outage.repr),
        remaining: outage.remaining,
    }
}

#[cfg(test)]
mod tests;
