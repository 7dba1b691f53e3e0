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
pub(crate) struct Breaker {
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

/// Why no request may be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outage {
    /// The failure that opened the breaker.
    pub(crate) repr: Repr,
    /// The time until a probe.
    pub(crate) remaining: Duration,
}

/// Permission to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The breaker is closed.
    Free,
    /// The request finds out whether the outage is over.
    Probe,
}

impl Breaker {
    /// Whether a request may be sent now, as the next probe if the breaker is open.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Outage> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let left = open.until.saturating_duration_since(now);
        let remaining = if open.probing { PROBING } else { left };
        if remaining.is_zero() {
            return Ok(());
        }
        Err(Outage {
            repr: open.repr.clone(),
            remaining,
        })
    }

    /// Admits a request.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Outage> {
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

    /// What happens to a breaker, at a second.
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

    /// What becomes of it: how somebody is admitted, or in how many seconds they may be.
    fn after(events: &[(u64, Event)]) -> Vec<Result<Admission, u64>> {
        let begin = Instant::now();
        let mut breaker = Breaker::default();
        let repr = Repr::Status(StatusCode::SERVICE_UNAVAILABLE);
        let mut admissions = Vec::new();
        for (second, event) in events {
            let now = begin + Duration::from_secs(*second);
            match event {
                Admit => {
                    let admission = breaker.admit(now);
                    admissions.push(admission.map_err(|outage| outage.remaining.as_secs()));
                }
                Succeed => drop(breaker.succeeded()),
                Fail => drop(breaker.failed(Admission::Free, &repr, now)),
                FailProbe => drop(breaker.failed(Admission::Probe, &repr, now)),
                Trip => drop(breaker.trip(&repr, now)),
                Abandon => breaker.abandoned(),
            }
        }
        admissions
    }

    const FREE: Result<Admission, u64> = Ok(Admission::Free);
    const PROBE: Result<Admission, u64> = Ok(Admission::Probe);
    const FIVE: [(u64, Event); 5] = [(0, Fail); 5];

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        assert_eq!(after(&[&FIVE[1..], &[(0, Admit)]].concat()), [FREE]);
        assert_eq!(after(&[&FIVE[..], &[(0, Admit)]].concat()), [Err(2)]);
        let between = [&FIVE[1..], &[(0, Succeed)], &FIVE[1..], &[(0, Admit)]].concat();
        assert_eq!(after(&between), [FREE]);
        assert_eq!(after(&[(0, Trip), (1, Admit)]), [Err(1)]);
    }

    #[test]
    fn one_caller_finds_out_whether_it_is_over() {
        let due = [&FIVE[..], &[(2, Admit), (2, Admit)]].concat();
        assert_eq!(after(&due), [PROBE, Err(1)], "one probe");
        let over = [&due[..], &[(3, Succeed), (3, Admit), (3, Admit)]].concat();
        assert_eq!(after(&over)[2..], [FREE, FREE]);
        let abandoned = [&due[..], &[(3, Abandon), (3, Admit), (3, Admit)]].concat();
        assert_eq!(after(&abandoned)[2..], [PROBE, Err(1)], "the next one");
    }

    #[test]
    fn the_time_doubles_with_each_probe_that_fails_up_to_a_minute() {
        let mut events = FIVE.to_vec();
        let mut second = 0;
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            second += wait;
            events.extend([(second, Admit), (second, FailProbe), (second, Admit)]);
        }
        let waits: Vec<_> = after(&events).into_iter().filter_map(Result::err).collect();
        assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60]);
        events.extend([
            (second + 60, Succeed),
            (second + 60, Trip),
            (second + 60, Admit),
        ]);
        assert_eq!(after(&events).last(), Some(&Err(2)), "a new outage");
    }

    #[test]
    fn what_was_in_flight_when_it_opened_does_not_prolong_it() {
        let late = [&FIVE[..], &[(1, Fail), (1, Trip), (1, Admit), (2, Admit)]].concat();
        assert_eq!(after(&late), [Err(1), PROBE]);
        let answered = [&FIVE[..], &[(1, Succeed), (1, Admit)]].concat();
        assert_eq!(after(&answered), [FREE], "it does answer");
    }
}
