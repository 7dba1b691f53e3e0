//! Series about registries: also the observer of the registry client.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::make::{Make, seconds};

/// Seconds; from a registry next door to one that times out.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// What is asked of registries, and what they ask of us.
pub(crate) struct Registries {
    requests: IntCounterVec,
    duration: HistogramVec,
    rate_limit: IntGaugeVec,
    backoff_until: GaugeVec,
    quarantined: IntGaugeVec,
    /// Registries that have refused a credential once: theirs goes back to 0.
    refusing: Mutex<BTreeSet<String>>,
}

impl Registries {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["registry", "operation", "result"];
        Ok(Self {
            requests: make.counters(
                "registry_requests_total",
                "Requests to registries and their token servers",
                labels,
            )?,
            duration: make.histograms(
                "registry_request_duration_seconds",
                "Time until a registry or its token server has answered",
                labels,
                REQUEST_BUCKETS,
            )?,
            rate_limit: make.gauges(
                "registry_rate_limit_remaining",
                "Pulls that a registry still grants us",
                &["registry"],
            )?,
            backoff_until: make.instants(
                "registry_backoff_until_timestamp_seconds",
                "Until when a registry that asked for it is left alone",
                &["registry"],
            )?,
            quarantined: make.gauges(
                "credentials_quarantined",
                "Credentials that a registry has refused and that are not presented to it now",
                &["registry"],
            )?,
            refusing: Mutex::default(),
        })
    }

    /// A request to a registry or its token server has ended with `ok` or the kind of its error.
    pub(crate) fn request(&self, registry: &str, operation: &str, result: &str, took: Duration) {
        let labels = [registry, operation, result];
        self.requests.with_label_values(&labels).inc();
        self.duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// A registry has said how many pulls it still grants.
    pub(crate) fn rate_limit(&self, registry: &str, remaining: u64) {
        let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
        self.rate_limit
            .with_label_values(&[registry])
            .set(remaining);
    }

    /// A registry is left alone until then, or no longer.
    pub(crate) fn backoff(&self, registry: &str, until: Option<Timestamp>) {
        let until = until.map_or(0.0, seconds);
        self.backoff_until.with_label_values(&[registry]).set(until);
    }

    /// So many credentials are not presented now, for each registry that has any.
    pub(super) fn quarantined(&self, counts: &BTreeMap<String, usize>) {
        let mut refusing = self.refusing.lock().unwrap_or_else(PoisonError::into_inner);
        refusing.extend(counts.keys().cloned());
        for registry in &*refusing {
            let count = counts.get(registry).copied().unwrap_or_default();
            self.quarantined
                .with_label_values(&[registry])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// What only the leader tells goes, so that sums over replicas are right.
    pub(super) fn clear(&self) {
        self.quarantined.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;

    #[test]
    fn a_registry_without_quarantined_credentials_any_more_is_at_zero() {
        let metrics = Metrics::new().expect("metrics");
        let line = "kube_autorollout_credentials_quarantined{registry=\"a.io\"}";
        assert!(
            !metrics.encode(true, &[].into()).contains(line),
            "never refused"
        );
        let text = metrics.encode(true, &[("a.io".to_owned(), 2)].into());
        assert!(text.contains(&format!("{line} 2\n")), "{text}");
        let text = metrics.encode(true, &[].into());
        assert!(text.contains(&format!("{line} 0\n")), "{text}");
        let text = metrics.encode(false, &[].into());
        assert!(!text.contains(line), "only the leader tells: {text}");
    }
}
