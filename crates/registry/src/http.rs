//! HTTP requests and responses, within limits.
//!
//! From the top: [`HttpClient`] follows redirects from host to host; a [`HostClient`] retries, waits for a permit of its
//! host, and limits the time; a [`Transport`](transport::Transport) has the connections.

pub(crate) mod body;
pub(crate) mod call;
mod circuit_breaker;
mod circuit_breakers;
mod error_body;
mod host_client;
mod hosts;
mod http_client;
mod no_proxy;
mod permits;
pub(crate) mod proxy;
mod pull_limits;
pub(crate) mod rate_limit;
pub(crate) mod redirect_policy;
pub(crate) mod request;
pub(crate) mod response;
mod retry;
pub(crate) mod transport;

pub(crate) use self::{
    call::{Call, HostConfigId},
    host_client::HostClient,
    http_client::{HttpClient, Settings},
    request::Request,
    response::Response,
};
