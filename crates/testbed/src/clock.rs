//! The one clock of the crate: the world outside of the controller, whose time passes.

use jiff::Timestamp;

/// The present, as other processes write it into their logs.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with the time stamps of other processes"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
