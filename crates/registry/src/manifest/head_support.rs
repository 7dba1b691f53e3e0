//! Which repositories of a host support HEAD.
//!
//! A check prefers HEAD: registries that count pulls do not count it. One odd response, of a proxy for example, proves
//! little, and nothing about other repositories.

use std::time::Duration;

use http::StatusCode;
use lru::LruCache;
use tokio::time::Instant;

use crate::cache::{MAX_REPOSITORIES, bounded};

/// How long HEAD is skipped, and how long a GET that reported no more than HEAD is not repeated.
const TTL: Duration = Duration::from_secs(60 * 60);

/// Useless responses in a row after which HEAD is skipped.
const THRESHOLD: u32 = 2;

/// The HEAD support of one host's repositories.
pub(crate) struct HeadSupport(LruCache<String, State>);

#[derive(Default)]
struct State {
    /// A HEAD worked at least once.
    worked: bool,
    /// Useless responses since.
    useless: u32,
    skipped: Option<Instant>,
    /// When a GET reported no more than the failed HEAD before it.
    get_failed: Option<Instant>,
}

impl HeadSupport {
    /// Whether HEAD is skipped for a repository.
    pub(crate) fn is_skipped(&mut self, repository: &str) -> bool {
        let state = self.0.get(repository);
        state.is_some_and(|state| is_recent(state.skipped))
    }

    /// HEAD reported all that is needed.
    pub(crate) fn report_success(&mut self, repository: &str) {
        let state = self.state(repository);
        state.worked = true;
        state.useless = 0;
    }

    /// GET reported what HEAD did not. `may_skip`: false for registries that count GET as a pull.
    pub(crate) fn report_useless(&mut self, repository: &str, may_skip: bool) {
        let state = self.state(repository);
        state.useless = state.useless.saturating_add(1);
        if may_skip && state.useless >= THRESHOLD {
            state.skipped = Some(Instant::now());
            // After the next try, one more useless response is enough.
            state.useless = THRESHOLD - 1;
        }
    }

    /// Whether GET may report more than a failed HEAD. A 404 is trusted if HEAD ever worked; other failures have a reason
    /// in their body, which HEAD does not have.
    pub(crate) fn wants_get(&mut self, repository: &str, status: StatusCode) -> bool {
        let state = self.0.get(repository);
        if state.is_some_and(|state| is_recent(state.get_failed)) {
            return false;
        }
        match status.as_u16() {
            400 | 403 | 412 => true,
            404 => state.is_none_or(|state| !state.worked),
            _ => false,
        }
    }

    /// GET reported no more than the failed HEAD.
    pub(crate) fn report_get_failed(&mut self, repository: &str) {
        self.state(repository).get_failed = Some(Instant::now());
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
    at.is_some_and(|at| at.elapsed() < TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3601);

    #[tokio::test(start_paused = true)]
    async fn head_is_skipped_for_an_hour_after_two_useless_responses() {
        let mut heads = HeadSupport::default();
        heads.report_useless("odd", true);
        assert!(!heads.is_skipped("odd"), "one response proves little");
        heads.report_success("odd");
        heads.report_useless("odd", true);
        assert!(!heads.is_skipped("odd"), "not in a row");
        heads.report_useless("odd", true);
        assert!(heads.is_skipped("odd"));
        assert!(!heads.is_skipped("other"), "only that repository");
        tokio::time::advance(HOUR).await;
        assert!(!heads.is_skipped("odd"), "tried again");
        heads.report_useless("odd", true);
        assert!(heads.is_skipped("odd"), "once more is enough");
        for _ in 0..5 {
            heads.report_useless("hub", false);
        }
        assert!(!heads.is_skipped("hub"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_get_that_reports_no_more_is_repeated_after_an_hour() {
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
            assert_eq!(heads.wants_get("a", status), expected, "{status}");
        }
        heads.report_get_failed("a");
        assert!(!heads.wants_get("a", StatusCode::NOT_FOUND));
        assert!(heads.wants_get("b", StatusCode::NOT_FOUND));
        tokio::time::advance(HOUR).await;
        assert!(heads.wants_get("a", StatusCode::NOT_FOUND));
        heads.report_success("a");
        assert!(!heads.wants_get("a", StatusCode::NOT_FOUND), "gone");
        assert!(heads.wants_get("a", StatusCode::FORBIDDEN), "but why?");
    }
}
