//! Whether this replica may act, or another does.
//!
//! A leader is asked for its [`Term`] immediately before it acts, and a term that was not renewed in time is over by our
//! own monotonic clock, whatever else hangs.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use futures::{Stream, stream};
use tokio::{sync::watch, time::Instant};

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
    /// There is no election: whoever runs leads.
    Always,
    /// As the Lease says.
    Elected(Arc<Elected>),
}

/// What is known of an election.
#[derive(Debug)]
pub(crate) struct Elected {
    term: Mutex<Option<Term>>,
    /// Counts the times that this replica has become the leader.
    begun: watch::Sender<u64>,
    /// The Lease has been read once, or found missing.
    read: AtomicBool,
}

impl Leadership {
    /// That of whoever runs, or of whom an election will name.
    pub(crate) fn new(election: bool) -> Self {
        if election {
            Self::Elected(Arc::new(Elected {
                term: Mutex::default(),
                begun: watch::Sender::new(0),
                read: AtomicBool::new(false),
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

    /// How many times this replica has become the leader of an election.
    pub(crate) fn terms(&self) -> u64 {
        match self {
            Self::Always => 0,
            Self::Elected(elected) => *elected.begun.borrow(),
        }
    }

    /// Yields each time that this replica becomes the leader of an election.
    pub(crate) fn beginnings(&self) -> impl Stream<Item = ()> + Send + use<> {
        let begun = match self {
            Self::Always => None,
            Self::Elected(elected) => Some(elected.begun.subscribe()),
        };
        stream::unfold(begun, async |begun| {
            let Some(mut begun) = begun else {
                return std::future::pending().await; // an end would be an end of the controller, too
            };
            begun.changed().await.ok()?;
            Some(((), Some(begun)))
        })
    }
}

/// Another replica leads, or none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotLeading;

impl Elected {
    /// The term of this replica, unless it is over.
    pub(crate) fn term(&self) -> Option<Term> {
        self.lock().filter(|term| Instant::now() < term.act_until)
    }

    /// The Lease has been read, or found missing.
    pub(crate) fn note_lease(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// This replica leads from now on, or goes on to.
    pub(crate) fn renew(&self, term: Term) {
        let before = self.term();
        *self.lock() = Some(term);
        if before.is_none() {
            self.begun.send_modify(|times| *times += 1);
        }
    }

    /// This replica leads no longer.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Term>> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt as _, StreamExt as _};
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
    async fn each_beginning_is_told_once_and_a_renewal_is_none() {
        let leadership = Leadership::new(true);
        let Leadership::Elected(elected) = &leadership else {
            unreachable!("it was made so");
        };
        let mut beginnings = std::pin::pin!(leadership.beginnings());
        assert_eq!(beginnings.next().now_or_never(), None);
        elected.renew(term());
        assert_eq!(leadership.terms(), 1);
        assert_eq!(beginnings.next().now_or_never(), Some(Some(())));
        elected.renew(term());
        assert_eq!(leadership.terms(), 1);
        assert_eq!(beginnings.next().now_or_never(), None);
        elected.end();
        elected.renew(term());
        assert_eq!(beginnings.next().now_or_never(), Some(Some(())));
    }

    #[tokio::test]
    async fn without_an_election_whoever_runs_leads() {
        assert!(Leadership::Always.leads());
        assert_eq!(Leadership::Always.may_act(), Ok(None));
        let mut beginnings = std::pin::pin!(Leadership::Always.beginnings());
        assert_eq!(beginnings.next().now_or_never(), None);
    }
}
