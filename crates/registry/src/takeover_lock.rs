//! A lock that a waiter takes over from a slow holder.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// A lock whose holder loses it to a waiter after a timeout. The holder is not interrupted, so that it may run beside its
/// successor.
#[derive(Default)]
pub(crate) struct TakeoverLock {
    state: Mutex<State>,
    released: Notify,
}

#[derive(Default)]
struct State {
    /// Identifies the last guard.
    generation: u64,
    /// When that guard took the lock, if it still holds it.
    held_since: Option<Instant>,
}

/// Releases the lock, unless it was taken over.
pub(crate) struct TakeoverGuard {
    lock: Arc<TakeoverLock>,
    generation: u64,
}

impl TakeoverLock {
    /// Waits until the lock is released, or was held for `limit`.
    pub(crate) async fn lock(self: Arc<Self>, limit: Duration) -> TakeoverGuard {
        loop {
            let released = self.released.notified();
            tokio::pin!(released);
            // Registers before the check, so that no release is missed.
            released.as_mut().enable();
            let until = match self.try_lock(limit) {
                Ok(generation) => {
                    let lock = Arc::clone(&self);
                    return TakeoverGuard { lock, generation };
                }
                Err(until) => until,
            };
            tokio::select! {
                () = released => {}
                () = sleep_until(until) => {}
            }
        }
    }

    /// The generation of the new guard, or when the lock may be taken over.
    fn try_lock(&self, limit: Duration) -> Result<u64, Instant> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(since) = state.held_since
            && now < since + limit
        {
            return Err(since + limit);
        }
        state.generation = state.generation.wrapping_add(1);
        state.held_since = Some(now);
        Ok(state.generation)
    }
}

impl Drop for TakeoverGuard {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        if state.generation == self.generation {
            state.held_since = None;
            self.lock.released.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn lock(lock: &Arc<TakeoverLock>) -> impl Future<Output = TakeoverGuard> {
        Arc::clone(lock).lock(LIMIT)
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_take_the_lock_one_after_the_other() {
        let shared = Arc::new(TakeoverLock::default());
        let first = lock(&shared).await;
        let start = Instant::now();
        let one = async {
            let _guard = lock(&shared).await;
            let soon = timeout(Duration::from_secs(1), lock(&shared)).await;
            assert!(soon.is_err(), "still held");
        };
        let others = async {
            tokio::join!(one, async { drop(lock(&shared).await) });
        };
        let release = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(first);
        };
        tokio::join!(others, release);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_holder_loses_the_lock_to_one_waiter_at_a_time() {
        let shared = Arc::new(TakeoverLock::default());
        let start = Instant::now();
        let stuck = lock(&shared).await;
        let second = lock(&shared).await;
        assert_eq!(start.elapsed(), LIMIT);
        drop(stuck);
        let third = lock(&shared).await;
        assert_eq!(start.elapsed(), 2 * LIMIT, "the second holds it");
        drop((second, third));
        drop(lock(&shared).await);
        assert_eq!(start.elapsed(), 2 * LIMIT, "nobody holds it");
    }
}
