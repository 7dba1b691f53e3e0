//! When a workload is checked next.
//!
//! Every workload is checked once a tick, and within a tick each has its own place, so that a thousand of them do not
//! ask the registry in the same instant. Everything here is a function of its arguments: `now` comes in, a time goes
//! out, and a restarted controller computes the same times again.

use std::{sync::Arc, time::Duration};

use croner::Cron;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

pub use crate::spread::{place, seed};

mod parse;

pub use parse::{CronError, IntervalError, parse_duration};

/// The share of a tick over which workloads are spread: a tenth.
const SPREAD: u32 = 10;

/// A spread never exceeds this, so that daily schedules still start on time.
const MAX_SPREAD: Duration = Duration::from_secs(5 * 60);

/// Within a spread there is a place each tenth of a second: those who share one wake the process once.
const GRAIN: Duration = Duration::from_millis(100);

/// The shortest time between two polls of a rollout in flight.
const MIN_POLL: Duration = Duration::from_secs(2);

/// How often a workload is checked. However it was written, there is always a next tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A period counted from the Unix epoch, so that a restart does not shift it.
    Interval(Period),
    /// A cron expression, read in a time zone.
    Cron(Arc<(Cron, TimeZone)>),
}

/// A whole number of seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Period {
    seconds: std::num::NonZeroU32,
}

impl Schedule {
    /// The first tick strictly after `now`, or the end of all time.
    pub fn tick_after(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Kind::Interval(period) => period.start(now, 1),
            Kind::Cron(cron) => {
                let (expression, zone) = &**cron;
                let next = expression.find_next_occurrence(&now.to_zoned(zone.clone()), false);
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
    }

    /// The last tick that is not after `now`, or the beginning of all time.
    ///
    /// What was learnt since then is as good as new: workloads that share an image share one request a tick, wherever
    /// in the tick each has its place.
    pub fn current_tick(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Kind::Interval(period) => period.start(now, 0),
            Kind::Cron(cron) => {
                let (expression, zone) = &**cron;
                let last = expression.find_previous_occurrence(&now.to_zoned(zone.clone()), true);
                last.map_or(Timestamp::MIN, |last| last.timestamp())
            }
        }
    }

    /// When the workload of this [`seed`] is checked next: the next tick, plus its own place in the spread.
    ///
    /// The place depends on the seed alone, so each workload keeps an exact period.
    pub fn check_after(&self, now: Timestamp, seed: u64) -> Timestamp {
        let tick = self.tick_after(now);
        let gap = self.tick_after(tick).duration_since(tick).unsigned_abs();
        let place = place(seed, (gap / SPREAD).min(MAX_SPREAD));
        let past = place.subsec_nanos() % GRAIN.subsec_nanos();
        let offset = place.saturating_sub(Duration::from_nanos(past.into()));
        tick.checked_add(offset).unwrap_or(Timestamp::MAX)
    }
}

impl Period {
    /// The start of the period that holds `now`, or of one that is `later` periods later.
    fn start(self, now: Timestamp, later: i128) -> Timestamp {
        let length = i128::from(self.seconds.get()) * 1_000_000_000;
        let start = (now.as_nanosecond().div_euclid(length) + later) * length;
        let end = if later > 0 {
            Timestamp::MAX
        } else {
            Timestamp::MIN
        };
        Timestamp::from_nanosecond(start).unwrap_or(end)
    }
}

/// How long to wait before the next poll of a rollout that began at `started`: a quarter of its age, and at least two
/// seconds. The caller polls at the next tick at the latest.
pub fn poll_after(started: Timestamp, now: Timestamp) -> Duration {
    let age = now.duration_since(started).max(SignedDuration::ZERO);
    (age.unsigned_abs() / 4).max(MIN_POLL)
}

#[cfg(test)]
mod tests;
