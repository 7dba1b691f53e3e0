//! The only module that reads the clock.

use jiff::Timestamp;

/// The current instant.
#[expect(
    clippy::disallowed_methods,
    reason = "everything else takes `now` as a parameter"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Whether `then` is not before `bound`. A `bound` in the future was taken before the clock was set back, and is ignored:
/// otherwise the caller would wait until the clock reaches it again.
pub(crate) fn is_since(then: Timestamp, bound: Timestamp) -> bool {
    then >= bound || bound > now()
}
