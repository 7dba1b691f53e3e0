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

/// Whether it was at `bound` or later. A bound in the future was taken before the clock was set back, and bounds nothing:
/// what is waited for would not come before the clock is there again.
pub(crate) fn is_since(then: Timestamp, bound: Timestamp) -> bool {
    then >= bound || bound > now()
}
