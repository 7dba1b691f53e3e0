//! Manifests: HEAD or GET, validation of responses, and caching.

mod artifactory;
mod cache;
pub(crate) mod content;
mod head_support;
mod request;
pub(crate) mod resolved;
mod service;
mod state;
mod url;

pub(crate) use self::service::ManifestService;
