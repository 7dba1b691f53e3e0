//! Rate limits of requests.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// The rate of requests that a receiver accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The sustained rate.
    pub per_second: NonZeroU32,
    /// The size of a burst after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// The default: 10 per second, in bursts of 100.
    pub const DEFAULT: Self = Self {
        per_second: NonZeroU32::MIN.saturating_add(9),
        burst: NonZeroU32::MIN.saturating_add(99),
    };

    /// The rate of failed authentications above which all requests are rejected unread.
    pub const FAILURES: Self = Self {
        per_second: NonZeroU32::MIN.saturating_add(4),
        burst: NonZeroU32::MIN.saturating_add(49),
    };
}

/// A token bucket, represented by the instant at which it is full.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// The time to refill one token.
    refill: Duration,
    /// The time to fill an empty bucket.
    capacity: Duration,
    full: Instant,
}

impl TokenBucket {
    /// A bucket that is full.
    pub fn new(rate: Rate, now: Instant) -> Self {
        let refill = Duration::from_secs(1) / rate.per_second.get();
        Self {
            refill,
            capacity: refill * rate.burst.get(),
            full: now,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// The time until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(now);
        if wait.is_zero() {
            self.full = self.full.max(now) + self.refill;
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// The time until there is a token.
    pub fn wait(&self, now: Instant) -> Duration {
        let full = self.full.max(now) + self.refill;
        let until_full = full.saturating_duration_since(now);
        until_full.saturating_sub(self.capacity)
    }
}

/// The two buckets of a receiver: for requests, and for failed authentications.
#[derive(Debug, Clone)]
pub struct Limits {
    requests: TokenBucket,
    failures: TokenBucket,
}

impl Limits {
    /// Buckets that are full.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self {
            requests: TokenBucket::new(rate, now),
            failures: TokenBucket::new(Rate::FAILURES, now),
        }
    }

    /// Admits a request, before any of it is read.
    ///
    /// # Errors
    ///
    /// The time that the sender must wait: the `Retry-After` of the response 429.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.failures.wait(now);
        if wait.is_zero() {
            self.requests.take(now)
        } else {
            Err(wait)
        }
    }

    /// Records that the authentication of an admitted request failed.
    pub fn fail(&mut self, now: Instant) {
        // Requests that were admitted together may exceed the tokens
        let _ = self.failures.take(now);
    }
}
