//! Errors between a client and a registry.

use http::{Method, StatusCode};

/// Why a request to a registry failed. No message holds a query or a credential.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The CA certificate is not a PEM file of certificates.
    #[error("read the CA certificate for {host}")]
    Certificate {
        /// The registry host.
        host: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request could not be put together.
    #[error("build a request to {host}")]
    Build {
        /// The registry host.
        host: String,
        /// What is wrong with it.
        #[source]
        source: http::Error,
    },
    /// Nothing, or half a response, came back.
    #[error("{method} {path} at {host}")]
    Transport {
        /// The HTTP method.
        method: Method,
        /// The registry host.
        host: String,
        /// The path without its query.
        path: String,
        /// What happened on the way.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The challenge of the registry or the response of its token server makes no sense.
    #[error("authenticate at {host}: {problem}")]
    Authentication {
        /// The registry host.
        host: String,
        /// What was missing.
        problem: &'static str,
    },
    /// A response with an unexpected status.
    #[error("{host} responded to {method} {path} with {status}")]
    Status {
        /// The HTTP method.
        method: Method,
        /// The registry host.
        host: String,
        /// The path without its query.
        path: String,
        /// The status.
        status: StatusCode,
    },
}
