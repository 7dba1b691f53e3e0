//! Where every workload stands, for those who ask: made from what is known, without a request to anybody.
//!
//! Rows are made while the client reads them, each from the stores of what its last reconcile rested on, and none is kept.

mod answer;
mod leader;
mod rows;
mod survey;

pub(crate) use self::{answer::Answering, leader::Leader};
