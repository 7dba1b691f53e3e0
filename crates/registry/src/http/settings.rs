//! What all hosts are asked under.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use http::HeaderValue;

use super::proxy::Proxy;
use crate::{certificate::Certificate, host_options::HostOptions, observer::Observer};

/// What all hosts are asked under, and what is special about some of them.
pub(crate) struct Settings {
    pub(crate) hosts: Vec<HostOptions>,
    pub(crate) certificates: Vec<Certificate>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) queue_timeout: Duration,
    pub(crate) proxy: Proxy,
    pub(crate) max_concurrent_requests: NonZeroUsize,
}
