//! Backoff that doubles with each failure in a row.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Delays that start with `first` and double up to `longest`.
#[derive(Debug)]
pub(crate) struct Doubling {
    longest: Duration,
    waits: ExponentialBackoff,
}

impl Doubling {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let waits = ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .build();
        Self { longest, waits }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        self.waits.next().unwrap_or(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut waits = Doubling::new(Duration::from_secs(15), Duration::from_secs(100));
        let waits: Vec<_> = (0..6).map(|_| waits.next().as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 100, 100, 100]);
    }
}
