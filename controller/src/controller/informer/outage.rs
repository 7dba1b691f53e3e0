//! What is logged of a watch that fails.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::workload::Watch;

/// The same error again is not logged within this time, whatever was well in between.
const REPEATED: Duration = Duration::from_secs(10 * 60);

/// Failures of one watch.
#[derive(Debug)]
pub(in crate::controller) struct Outage {
    watch: Watch,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    /// The last error, until the watch goes on.
    error: Option<String>,
    /// What was logged last, and when.
    logged: Option<(String, Instant)>,
    /// The present error was logged, so its end is, too.
    is_open: bool,
}

impl Outage {
    /// None yet.
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            trouble: Mutex::default(),
        }
    }

    /// The watch failed.
    pub(super) fn failed(&self, text: &str) {
        if self.trouble.lock().failed(text, Instant::now()) {
            let (kind, namespace) = (self.watch.0, &self.watch.1);
            warn!(kind, namespace, "cannot watch: {text}");
        }
    }

    /// The watch goes on.
    pub(in crate::controller) fn ended(&self) {
        let mut trouble = self.trouble.lock();
        if trouble.error.take().is_some() && std::mem::take(&mut trouble.is_open) {
            let (kind, namespace) = (self.watch.0, &self.watch.1);
            info!(kind, namespace, "watching again");
        }
    }
}

impl Trouble {
    /// Notes an error; returns whether it is to be logged.
    fn failed(&mut self, text: &str, now: Instant) -> bool {
        let same = self.error.as_deref() == Some(text);
        self.error = Some(text.to_owned());
        let logged = self.logged.as_ref();
        let lately = logged.is_some_and(|(logged, at)| logged == text && now < *at + REPEATED);
        if same || lately {
            return false;
        }
        self.logged = Some((text.to_owned(), now));
        self.is_open = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_logged_once_until_another_comes_or_some_time_has_passed() {
        let begun = Instant::now();
        let second = |second| begun + Duration::from_secs(second);
        let mut trouble = Trouble::default();
        assert!(trouble.failed("refused", second(0)));
        assert!(!trouble.failed("refused", second(1)));
        assert!(trouble.failed("expired", second(2)), "another");
        trouble.error = None;
        assert!(!trouble.failed("expired", second(3)), "it comes and goes");
        trouble.error = None;
        assert!(trouble.failed("expired", second(2) + REPEATED));
        assert!(
            !trouble.failed("expired", second(3) + 2 * REPEATED),
            "the same outage"
        );
    }
}
