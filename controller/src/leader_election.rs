//! Which replica leads.

pub(crate) mod leadership;
pub(crate) mod lease;
pub(crate) mod present;
