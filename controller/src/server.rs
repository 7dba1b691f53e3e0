//! What the process serves and writes for those who run it.

pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod logging;
