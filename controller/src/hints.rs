//! Hints: a registry or a CI job says that an image was pushed, and the image is checked at once.
//!
//! A hint leads to the ordinary check and to nothing else. It is taken by a listener of its own, whose port is open only where
//! receivers are configured.

mod answer;
mod checks;
mod issuers;
mod leader;
mod listener;
mod pipeline;
mod receivers;
mod report;
mod wait;

pub(crate) use self::{
    checks::Checks,
    issuers::Issuers,
    leader::Leader,
    listener::serve,
    pipeline::Pipeline,
    receivers::Receivers,
    report::{Report, Row},
};
