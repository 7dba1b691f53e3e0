//! The options of some hosts, ready for use.

use super::transport::Transport;
use crate::host_options::HostOptions;

/// The index of a host's options in the list, if there are any.
pub(crate) type HostConfigId = Option<usize>;

/// The options of some hosts, with the connections that they ask for.
pub(crate) struct HostConfig {
    pub(crate) options: HostOptions,
    pub(crate) transport: Transport,
}
