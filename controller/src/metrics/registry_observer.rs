//! Observes the registry client for the metrics.

use std::{sync::Arc, time::Duration};

use kube_autorollout_cloud::{Cloud, RefreshObserver};
use kube_autorollout_registry::{self as registry, ErrorKind, Operation};

use crate::{clock, metrics::Metrics, registry::failure};

/// Records the observations of the registry client and of cloud identities as metrics.
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
        let failed = |kind| failure::reason(kind).as_str();
        let result = result.map_or_else(failed, |()| "ok");
        self.0
            .registries
            .request(host, operation.as_str(), result, took);
    }

    fn rate_limit(&self, host: &str, remaining: u64) {
        self.0.registries.rate_limit(host, remaining);
    }

    fn backoff(&self, host: &str, wait: Option<Duration>) {
        let until = wait.and_then(|wait| clock::now().checked_add(wait).ok());
        self.0.registries.backoff(host, until);
    }
}

impl RefreshObserver for Observer {
    fn refreshed(&self, cloud: Cloud, issued: bool) {
        self.0.registries.refreshed(cloud.as_str(), issued);
    }
}
