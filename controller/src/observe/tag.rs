//! A tag and its last resolution by the registry.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{Digest, backoff::Backoff, schedule, state::Reason};

use crate::registry::failure::Failure;

/// The last response of a registry for a tag.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    /// When the request started; later changes are not known.
    pub(crate) started_at: Timestamp,
    /// The digest behind the tag.
    pub(crate) digest: Result<Digest, Failure>,
    /// The digest that it was last known to name, which errors do not change.
    sighting: Option<Sighting>,
    /// The number of consecutive transient failures.
    failures: u32,
    /// When the request is repeated after a transient failure, regardless of the schedule.
    pub(crate) retry: Option<Timestamp>,
}

/// The delay of the next request after transient failures.
const RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));

/// A digest that a tag was found to name.
#[derive(Debug, Clone)]
struct Sighting {
    digest: Digest,
    /// The start of the first request of an uninterrupted series with this result.
    first: Timestamp,
}

impl Tag {
    /// Whether it has been found to name another digest since then.
    pub(super) fn has_moved_since(&self, then: Timestamp) -> bool {
        let sighting = self.sighting.as_ref();
        sighting.is_some_and(|sighting| sighting.first >= then)
    }

    /// The tag after a request that started at `started_at` and ended `now`; `before` is the tag before it.
    pub(super) fn resolved(
        (started_at, now): (Timestamp, Timestamp),
        digest: Result<Digest, Failure>,
        before: Option<&Self>,
    ) -> Self {
        let failures = match &digest {
            Err(failure) if failure.transient => {
                before.map_or(0, |before| before.failures).saturating_add(1)
            }
            _ => 0,
        };
        let retry = digest.as_ref().err().filter(|_| failures > 0);
        let retry = retry.map(|failure| {
            let seed = schedule::seed(&failure.detail);
            let wait = RETRY.delay(failures, seed);
            let wait = match (failure.reason, failure.retry_after) {
                // The provider of the credentials has a backoff of its own.
                (Reason::CloudIdentity, Some(wait)) => wait,
                (_, retry_after) => wait.max(retry_after.unwrap_or_default()),
            };
            now.checked_add(wait).unwrap_or(Timestamp::MAX)
        });
        let before = before.and_then(|before| before.sighting.clone());
        let sighting = match &digest {
            Ok(digest) => before
                .filter(|before| before.digest == *digest)
                .or_else(|| {
                    Some(Sighting {
                        digest: digest.clone(),
                        first: started_at,
                    })
                }),
            Err(_) => before,
        };
        Self {
            started_at,
            digest,
            sighting,
            failures,
            retry,
        }
    }

    /// Whether the request started at `not_before` or later and need not be repeated yet. Times in the future are from before
    /// the clock was set back: such a response is stale, and such a bound is void.
    pub(super) fn is_fresh(&self, not_before: Timestamp, now: Timestamp) -> bool {
        let is_recent = self.started_at >= not_before || not_before > now;
        is_recent && self.started_at <= now && self.retry.is_none_or(|retry| now < retry)
    }

    /// Since when it has named the digest that it was last known to name.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.sighting.as_ref().map(|sighting| sighting.first)
    }
}

/// Whether the tag names another digest than before, or could not be resolved before.
pub(super) fn moved(before: Option<&Tag>, now: &Tag) -> bool {
    match (before.map(|tag| &tag.digest), &now.digest) {
        (Some(Ok(before)), Ok(now)) => before != now,
        (Some(Err(_)), Ok(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use kube_autorollout_core::state::Reason;

    use super::*;

    fn digest(letter: char) -> Digest {
        let hex = letter.to_string().repeat(64);
        format!("sha256:{hex}")
            .parse()
            .expect("a test's own digest")
    }

    fn failure() -> Failure {
        Failure {
            reason: Reason::Timeout,
            detail: String::new(),
            advice: "",
            transient: true,
            retry_after: None,
            refused: None,
        }
    }

    #[test]
    fn a_sighting_lasts_until_another_digest_is_found() {
        let answers = [
            (Err(failure()), None),
            (Ok(digest('a')), Some(1)),
            (Ok(digest('a')), Some(1)),
            (Err(failure()), Some(1)),
            (Ok(digest('a')), Some(1)),
            (Ok(digest('b')), Some(5)),
            (Ok(digest('a')), Some(6)), // it came back: the earlier sighting does not count
        ];
        let second = |second| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let mut before: Option<Tag> = None;
        for (start, (digest, since)) in (0..).zip(answers) {
            let at = second(start);
            let tag = Tag::resolved((at, at), digest, before.as_ref());
            assert_eq!(tag.since(), since.map(second), "response {start}");
            before = Some(tag);
        }
    }

    #[test]
    fn responses_and_bounds_from_before_the_clock_was_set_back_do_not_count() {
        let second = |second| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let tag = Tag::resolved((second(100), second(100)), Ok(digest('a')), None);
        assert!(tag.is_fresh(second(100), second(101)) && !tag.is_fresh(second(101), second(102)));
        assert!(!tag.is_fresh(second(50), second(60)), "a response");
        assert!(tag.is_fresh(second(3_600), second(101)), "a bound");
    }

    #[test]
    fn transient_failures_are_retried_before_the_next_tick_with_growing_delays() {
        let now = Timestamp::UNIX_EPOCH;
        let mut tag = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = Tag::resolved((now, now), Err(failure()), tag.as_ref());
            let retry = failed.retry.expect("it is transient");
            assert!(failed.is_fresh(now, now) && !failed.is_fresh(now, retry));
            waits.push(retry.duration_since(now).as_secs());
            tag = Some(failed);
        }
        assert!(
            waits.is_sorted() && waits[0] >= 3 && waits[7] <= 300,
            "{waits:?}"
        );
        let denied = Failure {
            reason: Reason::Denied,
            transient: false,
            ..failure()
        };
        let denied = Tag::resolved((now, now), Err(denied), tag.as_ref());
        assert_eq!((denied.retry, denied.failures), (None, 0));
        let limited = Failure {
            reason: Reason::RateLimited,
            retry_after: Some(Duration::from_secs(3600)),
            ..failure()
        };
        let limited = Tag::resolved((now, now), Err(limited), None);
        assert_eq!(
            limited.retry,
            now.checked_add(Duration::from_secs(3600)).ok()
        );
        let cloud = Failure {
            reason: Reason::CloudIdentity,
            retry_after: Some(Duration::from_secs(7)),
            ..failure()
        };
        let cloud = Tag::resolved((now, now), Err(cloud), tag.as_ref());
        let expected = now.checked_add(Duration::from_secs(7)).ok();
        assert_eq!(
            cloud.retry, expected,
            "with all others, whatever came before"
        );
        let answered = Tag::resolved((now, now), Ok(digest('a')), tag.as_ref());
        assert_eq!((answered.retry, answered.failures), (None, 0));
    }
}
