//! A lock that goes on to the next caller when its holder takes too long.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Held by the one caller that goes ahead of others. A caller that waits for longer than its patience takes it
/// over; the one before goes on all the same, so that there may be several of them.
#[derive(Default)]
pub(crate) struct Lead {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    holder: Option<Holder>,
    /// Holders so far.
    number: u64,
}

#[derive(Clone, Copy)]
struct Holder {
    number: u64,
    since: Instant,
}

/// The lock, as long as nobody has taken it over.
pub(crate) struct LeadGuard {
    lead: Arc<Lead>,
    number: u64,
}

impl Lead {
    /// Waits until nobody holds the lock, or its holder has held it for `patience`.
    pub(crate) async fn lock(self: Arc<Self>, patience: Duration) -> LeadGuard {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // What is freed from now on is not missed.
            freed.as_mut().enable();
            let until = match self.take(patience) {
                Ok(number) => {
                    let lead = Arc::clone(&self);
                    return LeadGuard { lead, number };
                }
                Err(until) => until,
            };
            tokio::select! {
                () = freed => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// The lock, or when it may be taken over.
    fn take(&self, patience: Duration) -> Result<u64, Instant> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(holder) = state.holder
            && now < holder.since + patience
        {
            return Err(holder.since + patience);
        }
        state.number = state.number.wrapping_add(1);
        let number = state.number;
        state.holder = Some(Holder { number, since: now });
        Ok(number)
    }
}

impl Drop for LeadGuard {
    fn drop(&mut self) {
        let mut state = self.lead.state.lock();
        if state
            .holder
            .is_some_and(|holder| holder.number == self.number)
        {
            state.holder = None;
            self.lead.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn lock(lead: &Arc<Lead>) -> impl Future<Output = LeadGuard> {
        Arc::clone(lead).lock(PATIENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_go_one_after_the_other() {
        let lead = Arc::new(Lead::default());
        let first = lock(&lead).await;
        let begun = Instant::now();
        let one = async {
            let _guard = lock(&lead).await;
            let soon = timeout(Duration::from_secs(1), lock(&lead)).await;
            assert!(soon.is_err(), "held by this one");
        };
        let others = async {
            tokio::join!(one, async { drop(lock(&lead).await) });
        };
        let go = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        tokio::join!(others, go);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_takes_too_long_lets_one_more_pass_at_a_time() {
        let lead = Arc::new(Lead::default());
        let begun = Instant::now();
        let stuck = lock(&lead).await;
        let second = lock(&lead).await;
        assert_eq!(begun.elapsed(), PATIENCE);
        drop(stuck);
        let third = lock(&lead).await;
        assert_eq!(begun.elapsed(), 2 * PATIENCE, "the second holds it");
        drop((second, third));
        drop(lock(&lead).await);
        assert_eq!(begun.elapsed(), 2 * PATIENCE, "nobody does");
    }
}
