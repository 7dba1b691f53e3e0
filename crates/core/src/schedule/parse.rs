//! Parses intervals and cron expressions.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use croner::parser::{CronParser, Year};
use jiff::{Timestamp, tz::TimeZone};

use super::{Kind, Schedule};
use crate::quoted::Quoted;

/// The longest interval in seconds: a day.
const MAX_INTERVAL: u32 = 24 * 60 * 60;

/// The longest cron expression, far longer than any sensible one.
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

/// Why an interval is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// It is malformed.
    #[error("cannot parse interval {0}: allowed is one integer and s, m or h, such as 45s")]
    Form(Quoted),
    /// It is too short or too long.
    #[error("cannot use interval {0}: allowed is 1s to 24h")]
    Range(Quoted),
}

/// Why a cron expression is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It names a time zone, which is a separate setting.
    #[error(
        "cannot parse cron expression {0}: a time zone is not part of it; set timeZone in the configuration"
    )]
    TimeZone(Quoted),
    /// It is an unknown nickname.
    #[error(
        "cannot parse cron expression {0}: the nicknames are @yearly, @annually, @monthly, @weekly, @daily, \
         @midnight and @hourly; for a fixed period set an interval"
    )]
    Nickname(Quoted),
    /// It has too few or too many fields.
    #[error(
        "cannot parse cron expression {input}: it has {count} fields; allowed are 5, or 6 with seconds first"
    )]
    Fields {
        /// The expression.
        input: Quoted,
        /// Its number of fields.
        count: usize,
    },
    /// It is longer than any sensible one.
    #[error("cannot parse cron expression {0}: it is longer than {MAX_EXPRESSION} characters")]
    TooLong(Quoted),
    /// One of its fields is invalid.
    #[error(
        "cannot parse cron expression {input}: the parser says {problem}; allowed are seconds 0-59 (or none), minutes 0-59, \
         hours 0-23, days 1-31, months 1-12 or JAN-DEC, weekdays 0-7 or SUN-SAT"
    )]
    Field {
        /// The expression.
        input: Quoted,
        /// The parser's error message.
        problem: Quoted,
    },
    /// No day ever matches, as with the 30th of February.
    #[error("cannot use cron expression {0}: it never matches any day")]
    Never(Quoted),
}

/// Parses a duration: one integer and `s`, `m` or `h`.
///
/// # Errors
///
/// [`IntervalError`] for everything else, and for an integer of more than 32 bits.
pub fn parse_duration(text: &str) -> Result<Duration, IntervalError> {
    let input = || Quoted::new(text);
    let units = [('s', 1), ('m', 60), ('h', 60 * 60)];
    let (digits, seconds_per_unit) = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.trim().strip_suffix(unit)?, seconds)))
        .filter(|(digits, _)| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
        .ok_or_else(|| IntervalError::Form(input()))?;
    let number: u32 = digits
        .parse() // fails only on overflow
        .map_err(|_| IntervalError::Range(input()))?;
    Ok(Duration::from_secs(u64::from(number) * seconds_per_unit))
}

impl Schedule {
    /// Parses an interval such as `45s`, `5m` or `24h`.
    ///
    /// # Errors
    ///
    /// [`IntervalError`] for everything but one integer and `s`, `m` or `h`, and outside of a second to a day.
    pub fn parse_interval(text: &str) -> Result<Self, IntervalError> {
        let seconds = parse_duration(text)?.as_secs();
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= MAX_INTERVAL)
            .and_then(NonZeroU32::new)
            .map(|seconds| Self(Kind::Interval { seconds }))
            .ok_or_else(|| IntervalError::Range(Quoted::new(text)))
    }

    /// Parses a cron expression of 5 fields, or 6 with seconds first, or a nickname such as `@hourly`, evaluated in `zone`.
    ///
    /// When clocks are set forward, a fixed time that is skipped ticks right after the gap. When they are set back, a fixed
    /// time ticks once and a repeated one (`*/5 * * * *`) in both passes.
    ///
    /// # Errors
    ///
    /// [`CronError`] for an expression that does not parse or never matches.
    pub fn parse_cron(text: &str, zone: &TimeZone) -> Result<Self, CronError> {
        let input = || Quoted::new(text);
        let text = text.trim();
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(CronError::TimeZone(input()));
        }
        let expression = if text.starts_with('@') {
            let mut nicknames = NICKNAMES.iter();
            let known = nicknames.find(|(name, _)| text.eq_ignore_ascii_case(name));
            known.ok_or_else(|| CronError::Nickname(input()))?.1
        } else {
            text
        };
        let count = expression.split_whitespace().count();
        if !(5..=6).contains(&count) {
            let input = input();
            return Err(CronError::Fields { input, count });
        }
        if expression.len() > MAX_EXPRESSION {
            return Err(CronError::TooLong(input()));
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| CronError::Field {
            input: input(),
            problem: Quoted::new(error.to_string().trim_end_matches('.')),
        })?;
        let schedule = Self(Kind::Cron(Arc::new((cron, zone.clone()))));
        // The calendar repeats, so an expression that matches once always matches again.
        if schedule.tick_after(Timestamp::UNIX_EPOCH) == Timestamp::MAX {
            return Err(CronError::Never(input()));
        }
        Ok(schedule)
    }
}
