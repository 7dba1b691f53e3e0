//! Access to registries: the client's options, credentials, and failures.

pub(crate) mod credentials;
pub(crate) mod failure;
pub(crate) mod options;
