//! Durations and relative times.

use std::fmt;

use jiff::Timestamp;

/// A duration in its largest unit, as `kubectl` shows ages.
pub(crate) struct Age(u64);

/// An instant relative to another one.
pub(crate) struct Relative {
    pub(crate) then: Timestamp,
    pub(crate) now: Timestamp,
}

/// The duration between two instants, in any order.
pub(crate) fn between(first: Timestamp, second: Timestamp) -> Age {
    Age(first.duration_since(second).abs().as_secs().unsigned_abs())
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let (count, unit) = match self.0 {
            // Two digits are more precise than one.
            seconds if seconds < 2 * MINUTE => (seconds, 's'),
            seconds if seconds < 2 * HOUR => (seconds / MINUTE, 'm'),
            seconds if seconds < 2 * DAY => (seconds / HOUR, 'h'),
            seconds => (seconds / DAY, 'd'),
        };
        write!(formatter, "{count}{unit}")
    }
}

impl fmt::Display for Relative {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = between(self.then, self.now);
        if self.then > self.now {
            write!(formatter, "in {age}")
        } else {
            write!(formatter, "{age} ago")
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ages_are_shown_in_their_largest_unit() {
        let cases = [
            (0, "0s ago"),
            (119, "119s ago"),
            (120, "2m ago"),
            (7_199, "119m ago"),
            (7_200, "2h ago"),
            (172_800, "2d ago"),
            (-45, "in 45s"),
        ];
        for (seconds, expected) in cases {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
            let then = Timestamp::UNIX_EPOCH;
            assert_eq!(Relative { then, now }.to_string(), expected);
        }
    }
}
