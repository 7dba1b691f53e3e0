//! The admin server, HTTP connections and logging.

pub(crate) mod admin;
pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod health;
pub(crate) mod logging;
