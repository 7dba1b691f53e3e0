//! The one place that reads the clock.

use jiff::Timestamp;

/// The current instant.
#[expect(
    clippy::disallowed_methods,
    reason = "everything else takes `now` as a parameter"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
