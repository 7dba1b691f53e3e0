//! Rate limits, as registries report them.

use std::time::{Duration, SystemTime};

use http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};
use tokio::time::Instant;

use crate::{backoff::Doubling, error::repr::Repr};

/// The first backoff after a 429 without `Retry-After`; doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_secs(15);

/// The longest backoff, whatever `Retry-After` says.
const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// A limit of pulls, as Docker Hub reports it in `ratelimit-*` headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Pulls that are allowed in a window.
    pub limit: Option<u64>,
    /// Pulls that are left.
    pub remaining: u64,
    /// The length of the window.
    pub window: Option<Duration>,
}

impl RateLimit {
    /// Reads `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 20;w=21600`.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let read = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            let mut parts = text.split(';').map(str::trim);
            let count = parts.next()?.parse::<u64>().ok()?;
            let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
            Some((count, window.map(Duration::from_secs)))
        };
        let (remaining, window) = read("ratelimit-remaining")?;
        let limit = read("ratelimit-limit");
        Some(Self {
            limit: limit.map(|(count, _)| count),
            remaining,
            window: window.or_else(|| limit?.1),
        })
    }
}

/// The backoff after responses with status 429.
#[derive(Default)]
pub(crate) struct Backoff {
    until: Option<Instant>,
    /// Since the last response with another status.
    waits: Option<Doubling>,
}

impl Backoff {
    /// Fails during the backoff.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Repr> {
        match self.until {
            Some(until) if now < until => Err(Repr::RateLimited {
                retry_after: until.duration_since(now),
            }),
            _ => Ok(()),
        }
    }

    /// A response with status 429. Returns the backoff.
    pub(crate) fn start(&mut self, now: Instant, retry_after: Option<Duration>) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(now));
        let left = left.filter(|left| !left.is_zero());
        // Requests that were in flight together are refused for one reason: they count once, and do not shorten the wait.
        let own = left.unwrap_or_else(|| {
            let waits = self.waits.take();
            let waits = waits.unwrap_or_else(|| Doubling::new(FIRST_BACKOFF, MAX_BACKOFF));
            self.waits.insert(waits).next()
        });
        let wait = retry_after
            .unwrap_or(own)
            .clamp(Duration::from_secs(1), MAX_BACKOFF);
        let wait = wait.max(left.unwrap_or_default());
        self.until = Some(now + wait);
        wait
    }

    /// A response with another status. Returns whether that ends a backoff.
    pub(crate) fn end(&mut self, now: Instant) -> bool {
        // A request that was in flight when it started does not end it.
        if self.check(now).is_err() {
            return false;
        }
        self.waits = None;
        self.until.take().is_some()
    }
}

/// The value of `Retry-After`: seconds, or a date, which is compared with the server's own clock.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let now = headers.get(DATE)?.to_str().ok()?;
    let (until, now) = (date(text)?, date(now)?);
    // A date in the past means now.
    Some(until.duration_since(now).unwrap_or_default())
}

/// A date in one of the three forms of RFC 9110, section 5.6.7.
fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
        const NOW: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let cases: [(Lines, Option<u64>); 10] = [
            (&[], None),
            (&[("retry-after", "120")], Some(120)),
            (&[("retry-after", "0")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT"), NOW],
                Some(60),
            ),
            (
                &[("retry-after", "Sunday, 06-Nov-94 08:50:37 GMT"), NOW],
                Some(60),
            ),
            (
                &[("retry-after", "Sun Nov  6 08:50:37 1994"), NOW],
                Some(60),
            ),
            (
                &[("retry-after", "Sun, 06 Nov 1994 08:40:37 GMT"), NOW],
                Some(0),
            ),
            (&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(
                retry_after(&headers(lines)),
                expected.map(Duration::from_secs),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn limits_of_docker_hub_are_parsed() {
        const WINDOW: Option<Duration> = Some(Duration::from_secs(21_600));
        let cases: [(Lines, Option<RateLimit>); 4] = [
            (
                &[
                    ("ratelimit-limit", "100;w=21600"),
                    ("ratelimit-remaining", "20;w=21600"),
                ],
                Some(RateLimit {
                    limit: Some(100),
                    remaining: 20,
                    window: WINDOW,
                }),
            ),
            (
                &[("ratelimit-remaining", "7")],
                Some(RateLimit {
                    limit: None,
                    remaining: 7,
                    window: None,
                }),
            ),
            (&[("ratelimit-remaining", "many")], None),
            (&[("ratelimit-limit", "100;w=21600")], None),
        ];
        for (lines, expected) in cases {
            assert_eq!(RateLimit::of(&headers(lines)), expected, "{lines:?}");
        }
    }
}
