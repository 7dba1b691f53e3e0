//! Hints: a registry or a CI job says that an image was pushed, and the image is checked at once.
//!
//! A hint leads to the ordinary check and to nothing else. It is taken by a listener of its own, whose port is open only where
//! receivers are configured.

mod checks;
mod issuers;
mod leader;
mod listener;
mod pipeline;
mod receivers;
mod report;
mod wait;

use std::sync::Arc;

use parking_lot::Mutex;

pub(crate) use self::{
    checks::Checks,
    issuers::Issuers,
    leader::Leader,
    listener::serve,
    pipeline::Pipeline,
    receivers::Receivers,
    report::{Report, Row},
};

/// The checks of the present term of leadership, if this replica leads.
#[derive(Clone, Default)]
pub(crate) struct Present(Arc<Mutex<Option<Arc<Checks>>>>);

impl Present {
    /// A term has begun, or ended.
    pub(crate) fn set(&self, checks: Option<Arc<Checks>>) {
        *self.0.lock() = checks;
    }

    fn get(&self) -> Option<Arc<Checks>> {
        self.0.lock().clone()
    }
}
