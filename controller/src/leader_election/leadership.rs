//! Whether this replica may act, or another does.
//!
//! A leader is asked for its [`Term`] immediately before it acts, and a term that was not renewed in time is over by our
//! own monotonic clock, whatever else hangs.

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

/// A leader's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    /// After this nothing may be begun.
    pub(crate) act_until: Instant,
    /// After this another replica may lead: what was begun must have ended.
    pub(crate) end: Instant,
}

/// Whether this replica leads, as it may be asked at any moment.
#[derive(Debug)]
pub(crate) enum Leadership {
    /// There is no election: each replica that runs leads.
    Always,
    /// As the Lease says.
    Elected(Arc<Elected>),
}

/// What is known of an election.
#[derive(Debug)]
pub(crate) struct Elected {
    term: watch::Sender<Option<Term>>,
    /// The Lease has been read once, or found missing.
    read: AtomicBool,
    /// Another replica that leads.
    leader: Mutex<Option<Leader>>,
}

/// The replica that leads, as the Lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leader {
    /// The name of its pod.
    pub(crate) name: String,
    pub(crate) addresses: Addresses,
}

/// Where other replicas reach the one that leads, as far as it says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Where it takes hints.
    pub(crate) hints: Option<SocketAddr>,
    /// Where it says how the workloads stand.
    pub(crate) overview: Option<SocketAddr>,
}

impl Leadership {
    /// Leads at once, or when an election says so.
    pub(crate) fn new(election: bool) -> Self {
        if election {
            Self::Elected(Arc::new(Elected {
                term: watch::Sender::new(None),
                read: AtomicBool::new(false),
                leader: Mutex::default(),
            }))
        } else {
            Self::Always
        }
    }

    /// Whether this replica leads now.
    pub(crate) fn leads(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Elected(elected) => elected.term().is_some(),
        }
    }

    /// Whether this replica could lead when its turn comes, as far as is known: in an election it has read the Lease.
    pub(crate) fn can_lead(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Elected(elected) => elected.read.load(Ordering::Relaxed),
        }
    }

    /// Until when something that is begun now must have ended, if it may be begun at all; nothing stands for as long as
    /// it takes.
    pub(crate) fn may_act(&self) -> Result<Option<Instant>, NotLeading> {
        match self {
            Self::Always => Ok(None),
            Self::Elected(elected) => elected.term().map(|term| Some(term.end)).ok_or(NotLeading),
        }
    }

    /// Another replica that leads, if one does.
    pub(crate) fn leader(&self) -> Option<Leader> {
        match self {
            Self::Always => None,
            Self::Elected(elected) => elected.leader.lock().clone(),
        }
    }

    /// Waits until this replica leads.
    pub(crate) async fn begun(&self) {
        if let Self::Elected(elected) = self {
            elected.until(true).await;
        }
    }

    /// Waits until this replica does not lead any more.
    pub(crate) async fn ended(&self) {
        match self {
            Self::Always => std::future::pending().await,
            Self::Elected(elected) => elected.until(false).await,
        }
    }
}

/// Another replica leads, or none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotLeading;

impl Elected {
    /// The term of this replica, unless it is over.
    pub(crate) fn term(&self) -> Option<Term> {
        (*self.term.borrow()).filter(|term| Instant::now() < term.act_until)
    }

    /// The Lease has been read, or found missing.
    pub(crate) fn note_lease(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// Another replica leads.
    pub(crate) fn note_leader(&self, leader: Option<Leader>) {
        *self.leader.lock() = leader;
    }

    /// This replica leads from now on, or goes on to.
    pub(crate) fn renew(&self, term: Term) {
        self.note_leader(None);
        self.term.send_replace(Some(term));
    }

    /// This replica leads no longer.
    pub(crate) fn end(&self) {
        self.term.send_replace(None);
    }

    /// Waits until this replica leads, or does not. A term that is not renewed in time ends by itself.
    async fn until(&self, leads: bool) {
        let mut terms = self.term.subscribe();
        loop {
            let term = *terms.borrow_and_update();
            let left = term.map(|term| term.act_until);
            let is_over = left.is_none_or(|end| Instant::now() >= end);
            if is_over != leads {
                return;
            }
            let end = async {
                match left {
                    Some(end) if !leads => sleep_until(end).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terms.changed() => {}
                () = end => {}
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
    async fn a_term_that_is_not_renewed_ends_by_itself() {
        let leadership = Leadership::new(true);
        let Leadership::Elected(elected) = &leadership else {
            unreachable!("it was made so");
        };
        assert!(!leadership.leads());
        let first = term();
        elected.renew(first);
        time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(leadership.may_act(), Ok(Some(first.end)));
        time::advance(Duration::from_millis(1)).await;
        assert!(!leadership.leads());
        assert_eq!(leadership.may_act(), Err(NotLeading));
    }

    #[tokio::test(start_paused = true)]
    async fn a_term_lasts_through_renewals_until_it_ends_or_is_not_renewed() {
        let leadership = Leadership::new(true);
        let Leadership::Elected(elected) = &leadership else {
            unreachable!("it was made so");
        };
        assert_eq!(leadership.begun().now_or_never(), None);
        elected.renew(term());
        leadership.begun().await;
        let begun = Instant::now();
        let renewed = async {
            time::sleep(Duration::from_secs(5)).await;
            elected.renew(term());
        };
        tokio::join!(leadership.ended(), renewed);
        assert_eq!(begun.elapsed(), Duration::from_secs(15));
        assert_eq!(leadership.begun().now_or_never(), None);
        elected.renew(term());
        assert_eq!(leadership.ended().now_or_never(), None);
        elected.end();
        leadership.ended().await;
    }

    #[tokio::test]
    async fn without_an_election_each_replica_leads() {
        assert!(Leadership::Always.leads());
        assert_eq!(Leadership::Always.may_act(), Ok(None));
        Leadership::Always.begun().await;
        assert_eq!(Leadership::Always.ended().now_or_never(), None);
    }
}
