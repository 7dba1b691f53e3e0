//! The admin server, HTTP connections and logging.

pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod health;
pub(crate) mod http;
pub(crate) mod logging;
