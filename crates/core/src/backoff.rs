//! How long to wait before a retry.

use std::time::Duration;

use crate::spread::offset;

/// Exponential backoff: each consecutive failure doubles the delay, up to a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    cap: Duration,
}

impl Backoff {
    /// Waits for `initial` after the first failure, and never longer than `cap`.
    pub const fn new(initial: Duration, cap: Duration) -> Self {
        Self { initial, cap }
    }

    /// The delay after `failures` consecutive failures.
    ///
    /// `seed` shortens it by up to a quarter, so that callers that failed together do not retry together.
    pub fn delay(&self, failures: u32, seed: u64) -> Duration {
        let doublings = failures.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let delay = self.initial.saturating_mul(factor).min(self.cap);
        delay.saturating_sub(offset(seed, delay / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(300));

    #[test]
    fn each_failure_doubles_the_wait_up_to_the_cap() {
        let cases = [
            (0, 5),
            (1, 5),
            (2, 10),
            (3, 20),
            (6, 160),
            (7, 300),
            (33, 300),
            (u32::MAX, 300),
        ];
        for (failures, seconds) in cases {
            assert_eq!(
                BACKOFF.delay(failures, 0),
                Duration::from_secs(seconds),
                "{failures} failures"
            );
        }
    }

    #[test]
    fn delays_are_spread_over_the_last_quarter() {
        for seed in [0, 1 << 60, u64::MAX] {
            let delay = BACKOFF.delay(2, seed);
            assert!(
                delay > Duration::from_millis(7500) && delay <= Duration::from_secs(10),
                "{delay:?}"
            );
        }
        assert_ne!(BACKOFF.delay(2, 1 << 60), BACKOFF.delay(2, u64::MAX));
    }
}
