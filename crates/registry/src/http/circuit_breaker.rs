//! A circuit breaker: after repeated failures a server gets no requests for a while, and then a single probe.
//!
//! Pure: time is a parameter, and the owner provides the lock.

use std::time::Duration;

use tokio::time::Instant;

use crate::{backoff::Doubling, error::repr::Repr};

/// Failures in a row that open it.
const THRESHOLD: u32 = 5;

/// How long it is open at first; doubles with each failed probe.
const FIRST: Duration = Duration::from_secs(2);

/// The longest time until a probe.
const LONGEST: Duration = Duration::from_secs(60);

/// When to retry a request that was refused during a probe.
const PROBING: Duration = Duration::from_secs(1);

/// The circuit breaker of one server, or of one path.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    /// In a row.
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// The failure that opened it.
    repr: Repr,
    until: Instant,
    /// The next times to stay open.
    waits: Doubling,
    /// A probe is in flight.
    probing: bool,
}

/// Permission to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The breaker is closed.
    Free,
    /// The request finds out whether the outage is over.
    Probe,
}

impl CircuitBreaker {
    /// The time until a request may be sent, as the next probe if the breaker is open.
    pub(crate) fn remaining(&self, now: Instant) -> Duration {
        match &self.open {
            None => Duration::ZERO,
            Some(open) if open.probing => PROBING,
            Some(open) => open.until.saturating_duration_since(now),
        }
    }

    /// Fails unless a request may be sent.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Repr> {
        let remaining = self.remaining(now);
        match &self.open {
            Some(open) if !remaining.is_zero() => Err(Repr::CircuitOpen {
                repr: Box::new(open.repr.clone()),
                remaining,
            }),
            _ => Ok(()),
        }
    }

    /// Admits a request.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Repr> {
        self.check(now)?;
        Ok(match &mut self.open {
            None => Admission::Free,
            Some(open) => {
                open.probing = true;
                Admission::Probe
            }
        })
    }

    /// An admitted request succeeded. Returns whether that closes the breaker.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.open.take().is_some()
    }

    /// An admitted request failed. Returns how long the breaker is open, if it opens.
    pub(crate) fn failed(
        &mut self,
        admission: Admission,
        repr: &Repr,
        now: Instant,
    ) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let opens = match &self.open {
            Some(_) => admission == Admission::Probe,
            None => self.failures >= THRESHOLD,
        };
        // Else there are too few failures, or the request was in flight when the breaker opened.
        opens.then(|| self.open(repr, now))
    }

    /// Opens at once, after a request that timed out. Returns how long it is open, unless it was open before.
    pub(crate) fn trip(&mut self, repr: &Repr, now: Instant) -> Option<Duration> {
        self.open.is_none().then(|| self.open(repr, now))
    }

    /// A probe was dropped without a result: the next request is a probe.
    pub(crate) fn abandoned(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    fn open(&mut self, repr: &Repr, now: Instant) -> Duration {
        let before = self.open.take().map(|open| open.waits);
        let mut waits = before.unwrap_or_else(|| Doubling::new(FIRST, LONGEST));
        let wait = waits.next();
        self.open = Some(Open {
            repr: repr.clone(),
            until: now + wait,
            waits,
            probing: false,
        });
        wait
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    /// An event at a second.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Admit,
        Succeed,
        Fail,
        FailProbe,
        Trip,
        Abandon,
    }
    use Event::{Abandon, Admit, Fail, FailProbe, Succeed, Trip};

    /// The results of `Admit`; of a refusal the seconds that remain.
    fn admissions(events: &[(u64, Event)]) -> Vec<Result<Admission, u64>> {
        let start = Instant::now();
        let mut breaker = CircuitBreaker::default();
        let repr = Repr::Status(StatusCode::SERVICE_UNAVAILABLE);
        let mut results = Vec::new();
        for (second, event) in events {
            let now = start + Duration::from_secs(*second);
            match event {
                Admit => {
                    results.push(breaker.admit(now).map_err(|repr| match repr {
                        Repr::CircuitOpen { remaining, .. } => remaining.as_secs(),
                        other => panic!("{other:?}"),
                    }));
                }
                Succeed => drop(breaker.succeeded()),
                Fail => drop(breaker.failed(Admission::Free, &repr, now)),
                FailProbe => drop(breaker.failed(Admission::Probe, &repr, now)),
                Trip => drop(breaker.trip(&repr, now)),
                Abandon => breaker.abandoned(),
            }
        }
        results
    }

    const FREE: Result<Admission, u64> = Ok(Admission::Free);
    const PROBE: Result<Admission, u64> = Ok(Admission::Probe);
    const FIVE: [(u64, Event); 5] = [(0, Fail); 5];

    #[test]
    fn opens_after_failures_in_a_row_only() {
        assert_eq!(admissions(&[&FIVE[1..], &[(0, Admit)]].concat()), [FREE]);
        assert_eq!(admissions(&[&FIVE[..], &[(0, Admit)]].concat()), [Err(2)]);
        let between = [&FIVE[1..], &[(0, Succeed)], &FIVE[1..], &[(0, Admit)]].concat();
        assert_eq!(admissions(&between), [FREE]);
        assert_eq!(admissions(&[(0, Trip), (1, Admit)]), [Err(1)]);
    }

    #[test]
    fn a_single_probe_finds_out_whether_the_outage_is_over() {
        let due = [&FIVE[..], &[(2, Admit), (2, Admit)]].concat();
        assert_eq!(admissions(&due), [PROBE, Err(1)], "one probe");
        let over = [&due[..], &[(3, Succeed), (3, Admit), (3, Admit)]].concat();
        assert_eq!(admissions(&over)[2..], [FREE, FREE]);
        let abandoned = [&due[..], &[(3, Abandon), (3, Admit), (3, Admit)]].concat();
        assert_eq!(admissions(&abandoned)[2..], [PROBE, Err(1)], "the next one");
    }

    #[test]
    fn the_time_doubles_with_each_failed_probe_up_to_a_minute() {
        let mut events = FIVE.to_vec();
        let mut second = 0;
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            second += wait;
            events.extend([(second, Admit), (second, FailProbe), (second, Admit)]);
        }
        let waits: Vec<_> = admissions(&events)
            .into_iter()
            .filter_map(Result::err)
            .collect();
        assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60]);
        events.extend([
            (second + 60, Succeed),
            (second + 60, Trip),
            (second + 60, Admit),
        ]);
        assert_eq!(admissions(&events).last(), Some(&Err(2)), "a new outage");
    }

    #[test]
    fn failures_of_requests_in_flight_do_not_prolong_it() {
        let late = [&FIVE[..], &[(1, Fail), (1, Trip), (1, Admit), (2, Admit)]].concat();
        assert_eq!(admissions(&late), [Err(1), PROBE]);
        let responded = [&FIVE[..], &[(1, Succeed), (1, Admit)]].concat();
        assert_eq!(admissions(&responded), [FREE], "it does respond");
    }
}
