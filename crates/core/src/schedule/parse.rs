//! Reading schedules as users write them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use croner::parser::{CronParser, Year};
use jiff::{Timestamp, tz::TimeZone};

use super::{Kind, Period, Schedule};
use crate::found::Found;

/// The longest interval in seconds: a day.
const MAX_INTERVAL: u32 = 24 * 60 * 60;

/// The longest cron expression, far beyond any that a person would write.
const MAX_EXPRESSION: usize = 500;

/// The nicknames that Kubernetes users know;
/// <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A text that is no interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// It does not have the form of one.
    #[error("cannot parse interval {found}: allowed is one integer and s, m or h, such as 45s")]
    Form {
        /// What was given.
        found: Found,
    },
    /// It is too short or too long.
    #[error("cannot use interval {found}: allowed is 1s to 24h")]
    Range {
        /// What was given.
        found: Found,
    },
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It names a time zone, which has a setting of its own.
    #[error(
        "cannot parse cron expression {found}: a time zone is not part of it; set timeZone in the configuration"
    )]
    TimeZone {
        /// What was given.
        found: Found,
    },
    /// It is a nickname that nobody knows.
    #[error(
        "cannot parse cron expression {found}: the nicknames are @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight and @hourly; for a fixed period set an interval"
    )]
    Nickname {
        /// What was given.
        found: Found,
    },
    /// It has too few or too many fields.
    #[error(
        "cannot parse cron expression {found}: it has {count} fields; allowed are 5, or 6 with seconds first"
    )]
    Fields {
        /// What was given.
        found: Found,
        /// How many fields that is.
        count: usize,
    },
    /// It is longer than any that a person would write.
    #[error("cannot parse cron expression {found}: it is longer than {MAX_EXPRESSION} characters")]
    TooLong {
        /// What was given.
        found: Found,
    },
    /// One of its fields is wrong.
    #[error(
        "cannot parse cron expression {found}: the parser says {problem}; allowed are seconds 0-59 (or none), minutes 0-59, \
         hours 0-23, days 1-31, months 1-12 or JAN-DEC, weekdays 0-7 or SUN-SAT"
    )]
    Field {
        /// What was given.
        found: Found,
        /// What the parser says is wrong with it.
        problem: Found,
    },
    /// No day ever matches, as with the 30th of February.
    #[error("cannot use cron expression {found}: it never matches any day")]
    Never {
        /// What was given.
        found: Found,
    },
}

/// Reads a duration: one integer and `s`, `m` or `h`.
///
/// # Errors
///
/// [`IntervalError`] for everything else, and for an integer that no 32 bits hold.
pub fn parse_duration(text: &str) -> Result<Duration, IntervalError> {
    let found = || Found::new(text);
    let units = [('s', 1), ('m', 60), ('h', 60 * 60)];
    let (digits, seconds_per_unit) = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.trim().strip_suffix(unit)?, seconds)))
        .filter(|(digits, _)| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
        .ok_or_else(|| IntervalError::Form { found: found() })?;
    let number: u32 = digits
        .parse() // only a number too large can fail
        .map_err(|_| IntervalError::Range { found: found() })?;
    Ok(Duration::from_secs(u64::from(number) * seconds_per_unit))
}

impl Schedule {
    /// Reads a period such as `45s`, `5m` or `24h`.
    ///
    /// # Errors
    ///
    /// [`IntervalError`] for everything but one integer and `s`, `m` or `h`, and for what is not within a second and a day.
    pub fn parse_interval(text: &str) -> Result<Self, IntervalError> {
        let seconds = parse_duration(text)?.as_secs();
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= MAX_INTERVAL)
            .and_then(NonZeroU32::new)
            .map(|seconds| Self(Kind::Interval(Period { seconds })))
            .ok_or_else(|| IntervalError::Range {
                found: Found::new(text),
            })
    }

    /// Reads a cron expression of 5 fields, or 6 with seconds first, or a nickname such as `@hourly`, for the clocks
    /// of `zone`.
    ///
    /// When clocks go forward, a fixed time that they leave out ticks right after the gap. When they go back, a fixed
    /// time ticks once and a repeated one (`*/5 * * * *`) in both passes.
    ///
    /// # Errors
    ///
    /// [`CronError`] for what does not parse, and for what never matches.
    pub fn parse_cron(text: &str, zone: &TimeZone) -> Result<Self, CronError> {
        let found = || Found::new(text);
        let text = text.trim();
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(CronError::TimeZone { found: found() });
        }
        let expression = if text.starts_with('@') {
            let known = NICKNAMES
                .iter()
                .find(|(name, _)| text.eq_ignore_ascii_case(name));
            known
                .map(|(_, expression)| *expression)
                .ok_or_else(|| CronError::Nickname { found: found() })?
        } else {
            text
        };
        let count = expression.split_whitespace().count();
        if !(5..=6).contains(&count) {
            return Err(CronError::Fields {
                found: found(),
                count,
            });
        }
        if expression.len() > MAX_EXPRESSION {
            return Err(CronError::TooLong { found: found() });
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| CronError::Field {
            found: found(),
            problem: Found::new(error.to_string().trim_end_matches('.')),
        })?;
        let schedule = Self(Kind::Cron(Arc::new((cron, zone.clone()))));
        // The calendar repeats itself, so what matches once matches for ever.
        if schedule.tick_after(Timestamp::UNIX_EPOCH) == Timestamp::MAX {
            return Err(CronError::Never { found: found() });
        }
        Ok(schedule)
    }
}
