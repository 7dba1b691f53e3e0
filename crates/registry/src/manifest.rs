//! Manifests: HEAD or GET, what a response must be like, and what is remembered.

mod artifactory;
mod cache;
pub(crate) mod content;
mod head_support;
mod repository_heads;
mod request;
pub(crate) mod resolved;
mod service;
mod state;
mod url;

pub(crate) use self::service::ManifestService;
