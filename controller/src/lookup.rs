//! Lookup or wake: a reconcile reads from caches without waiting, or ends and is requested again after a fetch.

mod single_flight;
mod triggers;

pub(crate) use self::{
    single_flight::{Fetches, SingleFlight},
    triggers::{Triggers, Waiter, until_ready},
};
