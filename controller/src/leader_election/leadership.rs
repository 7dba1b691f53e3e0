//! Whether this replica leads.
//!
//! The [`Term`] is checked immediately before each write. A term that is not renewed in time expires by the monotonic clock,
//! whatever else hangs.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// The term of a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// No write may start after this.
    pub(crate) act_until: Instant,
    /// Another replica may lead after this: all writes must have ended.
    pub(crate) end: Instant,
}

/// Whether this replica leads now. Without an election (`None`) each replica leads.
#[derive(Debug)]
pub(crate) struct Leadership(Option<Arc<Election>>);

/// The state of an election.
#[derive(Debug)]
pub(crate) struct Election {
    term: watch::Sender<Option<Term>>,
    /// Whether the Lease was read, or does not exist.
    read: AtomicBool,
    /// The other replica that leads.
    leader: Mutex<Option<Leader>>,
}

/// The replica that leads by the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The name of its pod.
    pub(crate) name: String,
    pub(crate) addresses: Addresses,
}

/// The addresses at which other replicas reach the leader, if it publishes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// For hints.
    pub(crate) hints: Option<SocketAddr>,
    /// For the overview.
    pub(crate) overview: Option<SocketAddr>,
}

impl Leadership {
    /// Leads immediately, or by an election.
    pub(crate) fn new(election: bool) -> Self {
        let state = || {
            Arc::new(Election {
                term: watch::Sender::new(None),
                read: AtomicBool::new(false),
                leader: Mutex::default(),
            })
        };
        Self(election.then(state))
    }

    /// The state of the election, if there is one.
    pub(crate) const fn election(&self) -> Option<&Arc<Election>> {
        self.0.as_ref()
    }

    /// Whether this replica leads now.
    pub(crate) fn leads(&self) -> bool {
        self.election()
            .is_none_or(|election| election.term().is_some())
    }

    /// Whether this replica could lead: in an election it must have read the Lease.
    pub(crate) fn can_lead(&self) -> bool {
        let has_read = |election: &Arc<Election>| election.read.load(Ordering::Relaxed);
        self.election().is_none_or(has_read)
    }

    /// Whether a write may start now, and its deadline; `None` for no deadline.
    pub(crate) fn may_act(&self) -> Result<Option<Instant>, NotLeading> {
        let Some(election) = self.election() else {
            return Ok(None);
        };
        let term = election.term().ok_or(NotLeading)?;
        Ok(Some(term.end))
    }

    /// The other replica that leads, if one does.
    pub(crate) fn leader(&self) -> Option<Leader> {
        self.election()?.leader.lock().clone()
    }

    /// Waits until this replica leads.
    pub(crate) async fn begun(&self) {
        if let Some(election) = self.election() {
            election.until(true).await;
        }
    }

    /// Waits until this replica no longer leads.
    pub(crate) async fn ended(&self) {
        match self.election() {
            Some(election) => election.until(false).await,
            None => std::future::pending().await,
        }
    }
}

/// This replica does not lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotLeading;

impl Election {
    /// The term of this replica, unless it has expired.
    pub(crate) fn term(&self) -> Option<Term> {
        (*self.term.borrow()).filter(|term| Instant::now() < term.act_until)
    }

    /// Records that the Lease was read, or does not exist.
    pub(crate) fn note_lease(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Records the other replica that leads.
    pub(crate) fn note_leader(&self, leader: Option<Leader>) {
        *self.leader.lock() = leader;
    }

    /// Starts or renews the term.
    pub(crate) fn renew(&self, term: Term) {
        self.note_leader(None);
        self.term.send_replace(Some(term));
    }

    /// Ends the term.
    pub(crate) fn end(&self) {
        self.term.send_replace(None);
    }

    /// Waits until this replica leads, or does not. A term that is not renewed in time expires.
    async fn until(&self, leads: bool) {
        let mut terms = self.term.subscribe();
        loop {
            let term = *terms.borrow_and_update();
            let end = term.map(|term| term.act_until);
            let is_expired = end.is_none_or(|end| Instant::now() >= end);
            if is_expired != leads {
                return;
            }
            let expiry = async {
                match end {
                    Some(end) if !leads => sleep_until(end).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terms.changed() => {}
                () = expiry => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use tokio::time;

    use super::*;

    fn term() -> Term {
        let now = Instant::now();
        Term {
            act_until: now + Duration::from_secs(10),
            end: now + Duration::from_secs(15),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_that_is_not_renewed_expires() {
        let leadership = Leadership::new(true);
        let election = leadership.election().expect("an election");
        assert!(!leadership.leads());
        let first = term();
        election.renew(first);
        time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(leadership.may_act(), Ok(Some(first.end)));
        time::advance(Duration::from_millis(1)).await;
        assert!(!leadership.leads());
        assert_eq!(leadership.may_act(), Err(NotLeading));
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_lasts_until_it_ends_or_is_not_renewed() {
        let leadership = Leadership::new(true);
        let election = leadership.election().expect("an election");
        assert_eq!(leadership.begun().now_or_never(), None);
        election.renew(term());
        leadership.begun().await;
        let begun = Instant::now();
        let renewed = async {
            time::sleep(Duration::from_secs(5)).await;
            election.renew(term());
        };
        tokio::join!(leadership.ended(), renewed);
        assert_eq!(begun.elapsed(), Duration::from_secs(15));
        assert_eq!(leadership.begun().now_or_never(), None);
        election.renew(term());
        assert_eq!(leadership.ended().now_or_never(), None);
        election.end();
        leadership.ended().await;
    }

    #[tokio::test]
    async fn without_an_election_each_replica_leads() {
        let leadership = Leadership::new(false);
        assert!(leadership.leads());
        assert_eq!(leadership.may_act(), Ok(None));
        leadership.begun().await;
        assert_eq!(leadership.ended().now_or_never(), None);
    }
}
