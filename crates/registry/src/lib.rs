#![doc = include_str!("../README.md")]

mod auth;
mod backoff;
mod cache;
mod certificate;
mod client;
mod credential;
mod endpoint;
mod error;
mod external_client;
mod host_options;
mod host_pattern;
mod http;
mod keyring;
mod manifest;
mod observer;
mod origin;
mod reference;
mod single_flight;
mod takeover_lock;

pub use oci_spec::{distribution::Reference, image::Digest};

pub use crate::{
    auth::authorization::AuthMethod,
    certificate::{Certificate, InvalidCertificate},
    client::{BuildError, ClientBuilder, RegistryClient},
    credential::{
        Credential, CredentialChain, CredentialProvider, Fingerprint, IssueFuture, IssueRequest,
        IssuedCredential, ProviderError,
    },
    endpoint::{Endpoint, EndpointError},
    error::{Error, ErrorKind},
    external_client::{ExternalClient, ExternalRequest, ExternalResponse},
    host_options::HostOptions,
    host_pattern::{HostPattern, HostPatternError},
    http::{
        proxy::{InvalidProxy, Proxy},
        rate_limit::RateLimit,
    },
    keyring::{DockerConfigError, Keyring, MissingCredential},
    manifest::{
        content::Manifest,
        resolved::{DigestSource, Resolved},
    },
    observer::{NoopObserver, Observer, Operation},
};

/// Entry point of the fuzz target for the parser of challenges.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz_challenge(data: &[u8]) {
    auth::challenge::properties::check(data);
}
