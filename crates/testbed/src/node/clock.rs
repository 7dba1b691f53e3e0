//! The one clock of the nodes.

use jiff::Timestamp;

/// The present.
#[expect(
    clippy::disallowed_methods,
    reason = "the nodes stand for the world, whose time passes"
)]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
