#![doc = include_str!("../README.md")]

mod artifactory;
mod attempt;
mod body;
mod bounded;
mod breaker;
mod builder;
mod certificate;
mod challenge;
mod circuit;
mod client;
mod connection;
mod credential;
mod endpoint;
mod error;
mod error_body;
mod exchange;
mod fault;
mod flight;
mod head_support;
mod host;
mod host_options;
mod host_pattern;
mod hosts;
mod inquiry;
mod keyring;
mod lead;
mod manifest;
mod manifest_cache;
mod memory;
mod negotiation;
mod no_proxy;
mod observer;
mod onward;
mod place;
mod proof;
mod proxy;
mod pull_limits;
mod quarantine;
mod rate_limit;
mod retry;
mod scheme;
mod schemes;
mod session;
mod settings;
mod stream;
mod target;
mod tls;
mod token;
mod token_request;
mod transport;
mod verdict;

pub use oci_spec::{distribution::Reference, image::Digest};

pub use crate::{
    builder::{BuildError, ClientBuilder},
    certificate::{Certificate, InvalidCertificate},
    client::{DigestSource, RegistryClient, Resolved},
    credential::{Credential, CredentialChain, Fingerprint},
    endpoint::{Endpoint, EndpointError},
    error::{Error, ErrorKind},
    host_options::HostOptions,
    host_pattern::{HostPattern, HostPatternError},
    keyring::{DockerConfigError, Keyring, MissingCredential},
    manifest::Manifest,
    observer::{NoopObserver, Observer, Operation},
    proxy::{InvalidProxy, Proxy},
    rate_limit::RateLimit,
    session::AuthMethod,
};

/// Checks the parser of challenges with an input of its fuzz target.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_challenge(data: &[u8]) {
    challenge::properties::check(data);
}
