//! Logs the failures of a watch, each outage once.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::workload::Watch;

/// An error that was logged is not logged again within this time, even if the watch recovers in between.
const REPEAT_AFTER: Duration = Duration::from_secs(10 * 60);

/// The failures of one watch.
#[derive(Debug)]
pub(in crate::controller) struct OutageLog {
    watch: Watch,
    errors: Mutex<Errors>,
}

#[derive(Debug, Default)]
struct Errors {
    /// The last error, until the watch recovers.
    current: Option<String>,
    /// The error that was logged last, and when.
    logged: Option<(String, Instant)>,
    /// Whether the current outage was logged, so that its end is logged, too.
    is_logged: bool,
}

impl OutageLog {
    /// No failure yet.
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            errors: Mutex::default(),
        }
    }

    /// The watch failed.
    pub(super) fn failed(&self, text: &str) {
        if self.errors.lock().failed(text, Instant::now()) {
            let (kind, namespace) = (self.watch.0, &self.watch.1);
            warn!(kind, namespace, "cannot watch: {text}");
        }
    }

    /// The watch recovered.
    pub(in crate::controller) fn ended(&self) {
        let mut errors = self.errors.lock();
        if errors.current.take().is_some() && std::mem::take(&mut errors.is_logged) {
            let (kind, namespace) = (self.watch.0, &self.watch.1);
            info!(kind, namespace, "watching again");
        }
    }
}

impl Errors {
    /// Records an error; returns whether to log it.
    fn failed(&mut self, text: &str, now: Instant) -> bool {
        let same = self.current.as_deref() == Some(text);
        self.current = Some(text.to_owned());
        let logged = self.logged.as_ref();
        let recent = logged.is_some_and(|(logged, at)| logged == text && now < *at + REPEAT_AFTER);
        if same || recent {
            return false;
        }
        self.logged = Some((text.to_owned(), now));
        self.is_logged = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_logged_once_until_another_occurs_or_some_time_has_passed() {
        let begun = Instant::now();
        let second = |second| begun + Duration::from_secs(second);
        let mut errors = Errors::default();
        assert!(errors.failed("refused", second(0)));
        assert!(!errors.failed("refused", second(1)));
        assert!(errors.failed("expired", second(2)), "another");
        errors.current = None;
        assert!(!errors.failed("expired", second(3)), "it recurs");
        errors.current = None;
        assert!(errors.failed("expired", second(2) + REPEAT_AFTER));
        assert!(
            !errors.failed("expired", second(3) + 2 * REPEAT_AFTER),
            "the same outage"
        );
    }
}
