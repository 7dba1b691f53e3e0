//! How long each of many things took.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The spread of many durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latencies {
    pub(crate) count: usize,
    pub(crate) median: Duration,
    /// Not more than one in a hundred took longer.
    pub(crate) most: Duration,
    pub(crate) last: Duration,
}

impl Latencies {
    /// From `start` to each of the `ends`; nothing if there is none.
    pub(crate) fn since(start: Timestamp, ends: impl Iterator<Item = Timestamp>) -> Option<Self> {
        let mut took: Vec<Duration> = ends
            .map(|end| Duration::try_from(end.duration_since(start)).unwrap_or_default())
            .collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
        let last = *took.last()?;
        Some(Self {
            count: took.len(),
            median: *at(50)?,
            most: *at(99)?,
            last,
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "count": self.count,
            "median_seconds": self.median.as_secs_f64(),
            "p99_seconds": self.most.as_secs_f64(),
            "last_seconds": self.last.as_secs_f64(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_the_slowest_and_the_median_the_middle() {
        let start = Timestamp::UNIX_EPOCH;
        let ends = (1..=200)
            .rev()
            .map(|second| start + Duration::from_secs(second));
        let latencies = Latencies::since(start, ends).expect("some");
        let seconds = [latencies.median, latencies.most, latencies.last].map(|took| took.as_secs());
        assert_eq!((latencies.count, seconds), (200, [101, 199, 200]));
        assert_eq!(Latencies::since(start, std::iter::empty()), None);
    }
}
