//! Counts what the registry client does.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_registry::{self as registry, ErrorKind, Operation};

use crate::metrics::Metrics;

/// Puts the client's reports into metrics.
pub(crate) struct Observer(Arc<Metrics>);

impl Observer {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }
}

impl registry::Observer for Observer {
    fn request(
        &self,
        host: &str,
        operation: Operation,
        result: Result<(), ErrorKind>,
        took: Duration,
    ) {
        let result = result.map_or_else(ErrorKind::as_str, |()| "ok");
        self.0
            .registries
            .request(host, operation.as_str(), result, took);
    }

    fn rate_limit(&self, host: &str, remaining: u64) {
        self.0.registries.rate_limit(host, remaining);
    }

    fn backoff(&self, host: &str, until: Option<Timestamp>) {
        self.0.registries.backoff(host, until);
    }
}
