//! Registries, as the controller asks them.

pub(crate) mod credentials;
pub(crate) mod failure;
pub(crate) mod options;
