//! Leader election among replicas.

pub(crate) mod leadership;
pub(crate) mod lease;
pub(crate) mod term_scoped;
