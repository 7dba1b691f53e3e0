//! Whether a host is asked at all: one circuit breaker for the host, and one for each repository that it does not answer
//! for while it answers for others.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{StatusCode, Uri};
use tokio::{sync::watch, time::Instant};

use crate::{
    breaker::{Admission, Breaker, Outage},
    fault::Fault,
    retry::may_pass,
};

/// Repositories without answers that are remembered of one host.
const MAX_PATHS: usize = 256;

/// The breakers of one host.
pub(crate) struct Circuit {
    state: Mutex<State>,
    /// For those who wait: it is time to look whether it makes sense to go on waiting.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    host: Breaker,
    /// By the path of the repository, or of a token server's realm.
    paths: HashMap<String, Breaker>,
    /// When the host last sent the head of an answer.
    answered: Option<Instant>,
}

/// The right to send one request. What becomes of it has to be told; a request that is given up says nothing.
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
    /// The host is left alone for so long.
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
        self.state().answered
    }

    /// Waits for something of this host, and not longer than until nobody asks it.
    pub(crate) async fn queue<T>(&self, wait: impl Future<Output = T>) -> Result<T, Fault> {
        let mut changed = self.changed.subscribe();
        tokio::pin!(wait);
        loop {
            self.state().host.check(Instant::now()).map_err(down)?;
            tokio::select! {
                biased; // who has tried in vain makes room in the same moment, and the next one would try in vain too
                _ = changed.changed() => {}
                turn = &mut wait => return Ok(turn),
            }
        }
    }

    /// The right to ask for something at an address now.
    pub(crate) fn admit(&self, uri: &Uri) -> Result<Pass<'_>, Fault> {
        let now = Instant::now();
        let path = path(uri);
        let mut state = self.state();
        // Who may not ask for the path must not become the probe of the host.
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

    /// How long until somebody may ask for something at an address.
    pub(crate) fn remaining(&self, uri: &Uri) -> Duration {
        let now = Instant::now();
        let state = self.state();
        let of_path = state.paths.get(path(uri));
        let outages = [Some(&state.host), of_path].into_iter().flatten();
        let outages = outages.filter_map(|breaker| breaker.check(now).err());
        let remaining = outages.map(|outage| outage.remaining);
        remaining.max().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The head of an answer has come.
    pub(crate) fn head_arrived(&self) {
        self.circuit.state().answered = Some(Instant::now());
    }

    /// A whole answer has come. Tells whether that changes how the host is asked.
    pub(crate) fn answered(mut self, status: StatusCode) -> Option<Change> {
        self.is_settled = true;
        let now = Instant::now();
        let mut state = self.circuit.state();
        state.answered = Some(now);
        state.paths.remove(&self.path);
        if !may_pass(status) {
            return state.host.succeeded().then_some(Change::Closed);
        }
        let opened = state.host.failed(self.of_host, &Fault::Status(status), now);
        drop(state);
        self.opened(opened)
    }

    /// No answer has come. `is_patient`: a time-out was one of the full length. Tells whether that changes how the host is
    /// asked.
    pub(crate) fn failed(mut self, fault: &Fault, is_patient: bool) -> Option<Change> {
        let now = Instant::now();
        let mut state = self.circuit.state();
        let answers_others = state.answered.is_some_and(|at| at >= self.begun);
        let opened = match fault {
            Fault::Timeout { .. } if !is_patient => return None,
            // Only this path is slow.
            Fault::Timeout { .. } if answers_others => {
                state.fail_path(&self.path, self.of_path, fault, now);
                match self.of_host {
                    Admission::Probe => state.host.failed(self.of_host, fault, now),
                    Admission::Free => None,
                }
            }
            Fault::Timeout { .. } | Fault::ConnectTimeout { .. } => {
                let probed = state.host.failed(self.of_host, fault, now);
                if matches!(fault, Fault::Timeout { .. }) {
                    state.fail_path(&self.path, self.of_path, fault, now);
                } else {
                    state.abandon_path(&self.path, self.of_path);
                }
                probed.or_else(|| state.host.trip(fault, now))
            }
            Fault::Connect(_) | Fault::Transport(_) => {
                state.abandon_path(&self.path, self.of_path);
                state.host.failed(self.of_host, fault, now)
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
        let mut state = self.circuit.state();
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

    fn fail_path(&mut self, path: &str, admission: Admission, fault: &Fault, now: Instant) {
        if !self.paths.contains_key(path) && self.paths.len() >= MAX_PATHS {
            self.paths.retain(|_, breaker| breaker.check(now).is_err());
            if self.paths.len() >= MAX_PATHS {
                return;
            }
        }
        let breaker = self.paths.entry(path.to_owned()).or_default();
        if breaker.failed(admission, fault, now).is_none() {
            breaker.trip(fault, now);
        }
    }
}

/// What of an address fails together: a repository, or all of a token server's realm.
fn path(uri: &Uri) -> &str {
    let path = uri.path();
    path.split_once("/manifests/")
        .map_or(path, |(path, _)| path)
}

fn down(outage: Outage) -> Fault {
    Fault::Down {
        fault: Box::new(outage.fault),
        remaining: outage.remaining,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const WEB: &str = "https://a.example/v2/web/manifests/1";
    const DB: &str = "https://a.example/v2/db/manifests/1";
    const TIMEOUT: Fault = Fault::Timeout {
        after: Duration::from_secs(30),
    };

    fn pass<'a>(circuit: &'a Circuit, uri: &'static str) -> Pass<'a> {
        let admitted = circuit.admit(&Uri::from_static(uri));
        admitted.unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn refused(circuit: &Circuit, uri: &'static str) -> Option<ErrorKind> {
        let admitted = circuit.admit(&Uri::from_static(uri));
        admitted.err().map(|fault| fault.kind())
    }

    async fn pass_time(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_of_a_silent_host_leaves_it_alone_at_once() {
        let circuit = Circuit::new();
        let [web, late] = [pass(&circuit, WEB), pass(&circuit, DB)];
        pass_time(30).await;
        let change = web.failed(&TIMEOUT, true);
        assert_eq!(change, Some(Change::Opened(Duration::from_secs(2))));
        assert_eq!(late.failed(&TIMEOUT, true), None, "for the same reason");
        assert_eq!(refused(&circuit, DB), Some(ErrorKind::Timeout));
        pass_time(2).await;
        let probe = pass(&circuit, DB);
        assert_eq!(refused(&circuit, WEB), Some(ErrorKind::Timeout));
        assert_eq!(probe.answered(StatusCode::OK), Some(Change::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_path_of_a_host_that_answers_is_left_alone_by_itself() {
        let circuit = Circuit::new();
        let slow = pass(&circuit, WEB);
        pass_time(1).await;
        assert_eq!(pass(&circuit, DB).answered(StatusCode::OK), None);
        pass_time(29).await;
        assert_eq!(slow.failed(&TIMEOUT, true), None);
        assert_eq!(refused(&circuit, WEB), Some(ErrorKind::Timeout));
        assert_eq!(refused(&circuit, DB), None);
        assert_eq!(
            circuit.remaining(&Uri::from_static(WEB)),
            Duration::from_secs(2)
        );
        assert_eq!(circuit.remaining(&Uri::from_static(DB)), Duration::ZERO);
        pass_time(2).await;
        pass(&circuit, WEB).answered(StatusCode::NOT_FOUND);
        assert_eq!(refused(&circuit, WEB), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_outs_that_were_cut_short_and_requests_that_were_given_up_say_nothing() {
        let circuit = Circuit::new();
        assert_eq!(pass(&circuit, WEB).failed(&TIMEOUT, false), None);
        drop(pass(&circuit, WEB));
        assert_eq!(refused(&circuit, WEB), None);
        pass(&circuit, WEB).failed(&TIMEOUT, true);
        pass_time(2).await;
        drop(pass(&circuit, WEB));
        assert_eq!(refused(&circuit, WEB), None, "the next probe");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_of_a_slow_path_that_fails_for_the_hosts_reasons_leaves_it_to_the_next_one() {
        let reset = || Fault::Transport(std::sync::Arc::new(std::fmt::Error));
        let no_connection = || Fault::ConnectTimeout {
            after: Duration::from_secs(10),
        };
        for fault in [reset(), no_connection()] {
            let circuit = Circuit::new();
            let slow = pass(&circuit, WEB);
            pass(&circuit, DB).answered(StatusCode::OK);
            pass_time(30).await;
            slow.failed(&TIMEOUT, true);
            pass_time(2).await;
            pass(&circuit, WEB).failed(&fault, true);
            pass_time(60).await;
            assert_eq!(refused(&circuit, WEB), None, "after {fault}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_those_of_the_host_whatever_was_asked_for() {
        let circuit = Circuit::new();
        for (number, status) in [500, 503, 408, 502].into_iter().enumerate() {
            let status = StatusCode::from_u16(status).expect("a status");
            let uri = if number % 2 == 0 { WEB } else { DB };
            assert_eq!(pass(&circuit, uri).answered(status), None);
        }
        let gone = pass(&circuit, WEB).answered(StatusCode::NOT_IMPLEMENTED);
        assert_eq!(gone, None, "an answer like others");
        for _ in 0..4 {
            assert_eq!(pass(&circuit, WEB).answered(StatusCode::BAD_GATEWAY), None);
        }
        let fifth = pass(&circuit, DB).answered(StatusCode::BAD_GATEWAY);
        assert_eq!(fifth, Some(Change::Opened(Duration::from_secs(2))));
        assert_eq!(refused(&circuit, WEB), Some(ErrorKind::Server));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_learns_that_it_makes_no_sense() {
        let circuit = Circuit::new();
        let probe = async {
            tokio::task::yield_now().await;
            pass(&circuit, WEB).failed(&TIMEOUT, true);
        };
        let (waited, ()) = tokio::join!(circuit.queue(std::future::pending::<()>()), probe);
        let kind = waited.map_err(|fault| fault.kind());
        assert_eq!(kind, Err(ErrorKind::Timeout));
        let kind = circuit.queue(async {}).await.map_err(|fault| fault.kind());
        assert_eq!(kind, Err(ErrorKind::Timeout), "and whoever comes later");
        pass_time(2).await;
        assert!(circuit.queue(async {}).await.is_ok());
    }
}
