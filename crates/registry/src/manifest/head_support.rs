//! Which repositories of a host answer HEAD in a way that is of use.
//!
//! HEAD is what a check wants: registries that count pulls do not count it. But one odd answer, of a proxy for example,
//! says little, and one odd repository says nothing of the others.

use std::time::Duration;

use http::StatusCode;
use lru::LruCache;
use tokio::time::Instant;

use crate::cache::{MAX_REPOSITORIES, bounded};

/// For how long HEAD is not tried, and for how long a GET that reported no more than HEAD is not repeated.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// Answers of no use in a row after which HEAD is not tried for a while.
const IN_A_ROW: u32 = 2;

/// What is known of a host's answers to HEAD.
pub(crate) struct HeadSupport(LruCache<String, State>);

#[derive(Default)]
struct State {
    /// Some HEAD was of use.
    worked: bool,
    /// Answers of no use since.
    useless: u32,
    skipped: Option<Instant>,
    /// When a GET after a failure reported no more than HEAD.
    in_vain: Option<Instant>,
}

impl HeadSupport {
    /// Whether a repository is asked by GET at once.
    pub(crate) fn is_skipped(&mut self, repository: &str) -> bool {
        let state = self.0.get(repository);
        state.is_some_and(|state| is_recent(state.skipped))
    }

    /// HEAD was of use.
    pub(crate) fn works(&mut self, repository: &str) {
        let state = self.state(repository);
        state.worked = true;
        state.useless = 0;
    }

    /// GET has reported what HEAD has not. `may_skip`: a registry that counts GET as a pull is asked by HEAD all the same.
    pub(crate) fn is_useless(&mut self, repository: &str, may_skip: bool) {
        let state = self.state(repository);
        state.useless = state.useless.saturating_add(1);
        if may_skip && state.useless >= IN_A_ROW {
            state.skipped = Some(Instant::now());
            // When it is tried again, one more answer of no use is enough.
            state.useless = IN_A_ROW - 1;
        }
    }

    /// Whether GET may report more than this failure of HEAD. Where nothing is found, HEAD is believed if it ever worked;
    /// other failures have a reason in their bodies, which HEAD has not.
    pub(crate) fn may_know_more(&mut self, repository: &str, status: StatusCode) -> bool {
        let state = self.0.get(repository);
        if state.is_some_and(|state| is_recent(state.in_vain)) {
            return false;
        }
        match status.as_u16() {
            400 | 403 | 412 => true,
            404 => state.is_none_or(|state| !state.worked),
            _ => false,
        }
    }

    /// GET has reported no more than a failure of HEAD.
    pub(crate) fn asked_in_vain(&mut self, repository: &str) {
        self.state(repository).in_vain = Some(Instant::now());
    }

    fn state(&mut self, repository: &str) -> &mut State {
        self.0
            .get_or_insert_mut(repository.to_owned(), State::default)
    }
}

impl Default for HeadSupport {
    fn default() -> Self {
        Self(bounded(MAX_REPOSITORIES))
    }
}

fn is_recent(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at.elapsed() < LIFE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3601);

    #[tokio::test(start_paused = true)]
    async fn head_is_skipped_after_two_answers_of_no_use_and_for_an_hour() {
        let mut heads = HeadSupport::default();
        heads.is_useless("odd", true);
        assert!(!heads.is_skipped("odd"), "once says little");
        heads.works("odd");
        heads.is_useless("odd", true);
        assert!(!heads.is_skipped("odd"), "not in a row");
        heads.is_useless("odd", true);
        assert!(heads.is_skipped("odd"));
        assert!(!heads.is_skipped("other"), "of that repository alone");
        tokio::time::advance(HOUR).await;
        assert!(!heads.is_skipped("odd"), "tried again");
        heads.is_useless("odd", true);
        assert!(heads.is_skipped("odd"), "once more is enough");
        for _ in 0..5 {
            heads.is_useless("hub", false);
        }
        assert!(!heads.is_skipped("hub"));
    }

    #[tokio::test(start_paused = true)]
    async fn get_is_tried_after_a_failure_once_an_hour_if_it_tells_no_more() {
        let mut heads = HeadSupport::default();
        let cases = [
            (400, true),
            (401, false),
            (403, true),
            (404, true),
            (412, true),
            (500, false),
        ];
        for (status, expected) in cases {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(heads.may_know_more("a", status), expected, "{status}");
        }
        heads.asked_in_vain("a");
        assert!(!heads.may_know_more("a", StatusCode::NOT_FOUND));
        assert!(heads.may_know_more("b", StatusCode::NOT_FOUND));
        tokio::time::advance(HOUR).await;
        assert!(heads.may_know_more("a", StatusCode::NOT_FOUND));
        heads.works("a");
        assert!(!heads.may_know_more("a", StatusCode::NOT_FOUND), "gone");
        assert!(heads.may_know_more("a", StatusCode::FORBIDDEN), "but why?");
    }
}
