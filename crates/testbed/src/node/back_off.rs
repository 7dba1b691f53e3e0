//! The growing pauses between attempts.

use std::time::Duration;

/// Pauses that double after each failure up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// The pause after the first failure.
    pub initial: Duration,
    /// The longest pause.
    pub limit: Duration,
}

impl BackOff {
    /// The kubelet's backoff, for image pulls and crashed containers alike
    /// (<https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff>).
    pub const KUBELET: Self = Self {
        initial: Duration::from_secs(10),
        limit: Duration::from_secs(5 * 60),
    };

    /// The same shape, a hundred times as fast.
    pub const QUICK: Self = Self {
        initial: Duration::from_millis(100),
        limit: Duration::from_secs(3),
    };

    /// The pause after this many failures in a row; none after none.
    pub fn after(self, failures: u32) -> Duration {
        match failures.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 2_u32.saturating_pow(doublings);
                self.initial.saturating_mul(factor).min(self.limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_limit() {
        let seconds = [0, 10, 20, 40, 80, 160, 300, 300];
        for (failures, expected) in (0..).zip(seconds) {
            let pause = BackOff::KUBELET.after(failures);
            assert_eq!(pause.as_secs(), expected, "after {failures} failures");
        }
        assert_eq!(BackOff::KUBELET.after(u32::MAX), BackOff::KUBELET.limit);
    }
}
