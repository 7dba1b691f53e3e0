//! What a registry said of one tag.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::{Digest, backoff::Backoff, schedule, state::Reason};

use crate::registry::failure::Failure;

/// What a registry said of a tag, and when.
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    /// When the request began: what happened to the tag later is not known.
    pub(crate) begun: Timestamp,
    /// The digest behind the tag.
    pub(crate) digest: Result<Digest, Failure>,
    /// What it was last known to name: errors in between change nothing about that.
    sighting: Option<Sighting>,
    /// The failures in a row that may pass by themselves.
    failures: u32,
    /// When the registry is asked again after such a failure, whatever the schedule says.
    pub(crate) retry: Option<Timestamp>,
}

/// How soon a tag is asked for again after a failure that may pass by itself, and at the latest.
const RETRY: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));

/// A digest that a tag was found to name.
#[derive(Debug, Clone)]
struct Sighting {
    digest: Digest,
    /// When that was found first, since when no other was found.
    first: Timestamp,
}

impl Tag {
    /// Whether it was found to name another digest since then.
    pub(super) fn has_moved_since(&self, then: Timestamp) -> bool {
        let sighting = self.sighting.as_ref();
        sighting.is_some_and(|sighting| sighting.first >= then)
    }

    /// What was learnt of the tag by a request that began at `begun` and ended `now`, after what was known `before`.
    pub(super) fn learnt(
        (begun, now): (Timestamp, Timestamp),
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
                // One fetch for all workloads, whose provider backs off.
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
                        first: begun,
                    })
                }),
            Err(_) => before,
        };
        Self {
            begun,
            digest,
            sighting,
            failures,
            retry,
        }
    }

    /// Whether it answers who wants to know of it as of `not_before` or later. An answer or a bound from the future is
    /// of before the clock was set back, and a failure that may have passed by now is none.
    pub(super) fn serves(&self, not_before: Timestamp, now: Timestamp) -> bool {
        let is_recent = self.begun >= not_before || not_before > now;
        is_recent && self.begun <= now && self.retry.is_none_or(|retry| now < retry)
    }

    /// Since when it names what it was last known to name.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.sighting.as_ref().map(|sighting| sighting.first)
    }
}

/// Whether the tag names another image than before; an error in between changes nothing.
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
            (Ok(digest('a')), Some(6)), // it came back: what was known of it before does not count
        ];
        let second = |second| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let mut before: Option<Tag> = None;
        for (begun, (digest, since)) in (0..).zip(answers) {
            let at = second(begun);
            let tag = Tag::learnt((at, at), digest, before.as_ref());
            assert_eq!(tag.since(), since.map(second), "answer {begun}");
            before = Some(tag);
        }
    }

    #[test]
    fn an_answer_and_a_bound_of_before_the_clock_was_set_back_do_not_count() {
        let second = |second| Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second);
        let tag = Tag::learnt((second(100), second(100)), Ok(digest('a')), None);
        assert!(tag.serves(second(100), second(101)) && !tag.serves(second(101), second(102)));
        assert!(!tag.serves(second(50), second(60)), "an answer");
        assert!(tag.serves(second(3_600), second(101)), "a bound");
    }

    #[test]
    fn a_failure_that_may_pass_is_retried_before_the_next_tick_and_ever_later() {
        let now = Timestamp::UNIX_EPOCH;
        let mut tag = None;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = Tag::learnt((now, now), Err(failure()), tag.as_ref());
            let retry = failed.retry.expect("it may pass");
            assert!(failed.serves(now, now) && !failed.serves(now, retry));
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
        let denied = Tag::learnt((now, now), Err(denied), tag.as_ref());
        assert_eq!((denied.retry, denied.failures), (None, 0));
        let limited = Failure {
            reason: Reason::RateLimited,
            retry_after: Some(Duration::from_secs(3600)),
            ..failure()
        };
        let limited = Tag::learnt((now, now), Err(limited), None);
        assert_eq!(
            limited.retry,
            now.checked_add(Duration::from_secs(3600)).ok()
        );
        let cloud = Failure {
            reason: Reason::CloudIdentity,
            retry_after: Some(Duration::from_secs(7)),
            ..failure()
        };
        let cloud = Tag::learnt((now, now), Err(cloud), tag.as_ref());
        let expected = now.checked_add(Duration::from_secs(7)).ok();
        assert_eq!(
            cloud.retry, expected,
            "with all others, whatever came before"
        );
        let answered = Tag::learnt((now, now), Ok(digest('a')), tag.as_ref());
        assert_eq!((answered.retry, answered.failures), (None, 0));
    }
}
