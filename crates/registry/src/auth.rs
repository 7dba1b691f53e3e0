//! Authentication: which credential a request carries, and in which form.
//!
//! An [`Authenticator`] tries the credentials of a chain in order. What follows from each response is decided without I/O:
//! [`step`] chooses the next request, [`verdict`] what a response implies for the credential.

mod authenticator;
pub(crate) mod authorization;
pub(crate) mod challenge;
mod context;
mod cross_origin;
mod exchange;
mod host_state;
mod interface;
mod known_schemes;
mod outcome;
mod quarantine;
mod scheme;
mod step;
mod token;
mod token_cache;
mod token_source;
mod verdict;

pub(crate) use self::{
    authenticator::Authenticator,
    interface::{HeadFallback, Reply, Resource, Subject},
};
