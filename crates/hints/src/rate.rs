//! How many requests are let in.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

/// How many requests a receiver takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl Rate {
    /// What is taken where nothing else is configured: 10 a second, 100 at once.
    pub const DEFAULT: Self = Self {
        per_second: NonZeroU32::MIN.saturating_add(9),
        burst: NonZeroU32::MIN.saturating_add(99),
    };

    /// How often the authentication may fail before requests are refused unseen.
    pub const FAILURES: Self = Self {
        per_second: NonZeroU32::MIN.saturating_add(4),
        burst: NonZeroU32::MIN.saturating_add(49),
    };
}

/// A token bucket, kept as the one instant at which it is full.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// Until one more token is there.
    refill: Duration,
    /// Until an empty bucket is full.
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
    /// If there is none: how long until there is one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(now);
        if wait.is_zero() {
            self.full = self.full.max(now) + self.refill;
            Ok(())
        } else {
            Err(wait)
        }
    }

    /// How long until there is a token.
    pub fn wait(&self, now: Instant) -> Duration {
        let full = self.full.max(now) + self.refill;
        let until_full = full.saturating_duration_since(now);
        until_full.saturating_sub(self.capacity)
    }
}

/// The two buckets of a receiver: of requests, and of those whose authentication failed.
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

    /// Lets a request in, before anything of it is read.
    ///
    /// # Errors
    ///
    /// How long the sender must wait: the value of `Retry-After` of the answer 429.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.failures.wait(now);
        if wait.is_zero() {
            self.requests.take(now)
        } else {
            Err(wait)
        }
    }

    /// The authentication of a request that was let in failed.
    pub fn fail(&mut self, now: Instant) {
        // Requests that were let in together may fail with more than there is
        let _ = self.failures.take(now);
    }
}
