//! Lookup or wake: a reconcile reads what it needs at once, or ends and is requested again when it has been fetched.

mod single_flight;
mod triggers;

pub(crate) use self::{
    single_flight::{Fetches, SingleFlight},
    triggers::{Triggers, Waiter, until_ready},
};
