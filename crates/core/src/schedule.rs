//! When a workload is checked next.
//!
//! Every workload is checked once per tick, each at its own offset, so that a thousand of them do not query the registry in
//! the same instant. Everything here is a pure function of its arguments, so a restarted controller computes the same times.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use croner::Cron;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::spread::offset;
pub use crate::spread::seed;

mod parse;

pub use parse::{CronError, IntervalError, parse_duration};

/// The share of a tick over which workloads are spread: a tenth.
const SPREAD: u32 = 10;

/// A spread never exceeds this, so that daily schedules still start on time.
const MAX_SPREAD: Duration = Duration::from_secs(5 * 60);

/// Offsets are multiples of this: workloads that share one wake the process only once.
const GRANULARITY: Duration = Duration::from_millis(100);

/// The shortest time between two polls of a rollout in flight.
const MIN_POLL: Duration = Duration::from_secs(2);

/// How often a workload is checked. There is always a next tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A period counted from the Unix epoch, so that a restart does not shift it.
    Interval { seconds: NonZeroU32 },
    /// A cron expression, evaluated in a time zone.
    Cron(Arc<(Cron, TimeZone)>),
}

impl Schedule {
    /// The first tick strictly after `now`, or [`Timestamp::MAX`].
    pub fn tick_after(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Kind::Interval { seconds } => period_start(*seconds, now, 1).unwrap_or(Timestamp::MAX),
            Kind::Cron(cron) => {
                let (expression, zone) = &**cron;
                let next = expression.find_next_occurrence(&now.to_zoned(zone.clone()), false);
                next.map_or(Timestamp::MAX, |next| next.timestamp())
            }
        }
    }

    /// The last tick at or before `now`, or [`Timestamp::MIN`].
    ///
    /// A response since then is fresh: workloads that share an image share one request per tick, whatever their offsets.
    pub fn current_tick(&self, now: Timestamp) -> Timestamp {
        match &self.0 {
            Kind::Interval { seconds } => period_start(*seconds, now, 0).unwrap_or(Timestamp::MIN),
            Kind::Cron(cron) => {
                let (expression, zone) = &**cron;
                let last = expression.find_previous_occurrence(&now.to_zoned(zone.clone()), true);
                last.map_or(Timestamp::MIN, |last| last.timestamp())
            }
        }
    }

    /// When the workload with this [`seed`] is checked next: the next tick plus the workload's offset.
    ///
    /// The offset depends on the seed alone, so each workload keeps an exact period.
    pub fn check_after(&self, now: Timestamp, seed: u64) -> Timestamp {
        let tick = self.tick_after(now);
        let gap = self.tick_after(tick).duration_since(tick).unsigned_abs();
        let offset = offset(seed, (gap / SPREAD).min(MAX_SPREAD));
        let excess = offset.subsec_nanos() % GRANULARITY.subsec_nanos();
        let offset = offset.saturating_sub(Duration::from_nanos(excess.into()));
        tick.checked_add(offset).unwrap_or(Timestamp::MAX)
    }
}

/// The start of the period that contains `now`, or of the one `later` periods after it.
fn period_start(seconds: NonZeroU32, now: Timestamp, later: i128) -> Option<Timestamp> {
    let length = i128::from(seconds.get()) * 1_000_000_000;
    let start = (now.as_nanosecond().div_euclid(length) + later) * length;
    Timestamp::from_nanosecond(start).ok()
}

/// How long to wait before the next poll of a rollout that began at `started`: a quarter of its age, and at least two
/// seconds. The caller also polls at each tick.
pub fn poll_after(started: Timestamp, now: Timestamp) -> Duration {
    let age = now.duration_since(started).max(SignedDuration::ZERO);
    (age.unsigned_abs() / 4).max(MIN_POLL)
}

#[cfg(test)]
mod tests;
