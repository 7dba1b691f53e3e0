//! Authentication: with which credential a registry is asked, and how that is presented.
//!
//! An [`Authenticator`] asks with each credential of a chain. What follows from each response is decided without I/O:
//! [`step`] says what is sent next, [`verdict`] what a response says of the credential.

mod authenticator;
mod authorization;
pub(crate) mod challenge;
mod conclusion;
mod context;
mod conversation;
mod cross_origin;
mod head_fallback;
mod header;
mod known_schemes;
pub(crate) mod method;
mod quarantine;
mod reply;
mod resource;
mod scheme;
mod state;
mod step;
mod token;
mod token_request;
mod token_source;
mod verdict;

pub(crate) use self::{
    authenticator::Authenticator,
    head_fallback::HeadFallback,
    reply::Reply,
    resource::{Resource, Subject},
};
