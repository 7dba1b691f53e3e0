//! Metrics of registries.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec, Opts};
use tokio::time::Instant;

use super::registrar::{Registrar, seconds};

/// Seconds: from a nearby registry to one that times out.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// Series of a registry that was unused for this time are dropped. With a daily schedule they must last for two days, so that
/// the next request is an increase.
const TTL: Duration = Duration::from_secs(49 * 60 * 60);

/// The metrics of registries.
pub(crate) struct Registries {
    requests: IntCounterVec,
    duration: HistogramVec,
    rate_limit: IntGaugeVec,
    backoff_until: GaugeVec,
    quarantined: IntGaugeVec,
    refreshes: IntCounterVec,
    used: Mutex<HashMap<String, Usage>>,
}

/// The series of one registry.
struct Usage {
    /// The last use.
    at: Instant,
    /// The series of requests, by operation and result.
    requests: BTreeSet<(&'static str, &'static str)>,
    /// Whether it has ever refused a credential: the series of quarantined credentials then returns to 0.
    has_refused: bool,
}

impl Registries {
    pub(super) fn new(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["registry", "operation", "result"];
        Ok(Self {
            requests: registrar.counters(
                "registry_requests_total",
                "Requests to registries and their token servers",
                labels,
            )?,
            duration: registrar.histograms(
                "registry_request_duration_seconds",
                "Time until a registry or its token server has responded",
                labels,
                REQUEST_BUCKETS,
            )?,
            rate_limit: registrar.gauges(
                "registry_rate_limit_remaining",
                "Pulls left before the rate limit of a registry",
                &["registry"],
            )?,
            backoff_until: registrar.register(GaugeVec::new(
                Opts::new(
                    "registry_backoff_until_timestamp_seconds",
                    "Time until which no requests are sent to a registry that asked for it, 0 if there is none",
                ),
                &["registry"],
            )?)?,
            quarantined: registrar.gauges(
                "credentials_quarantined",
                "Credentials that a registry has refused and that are in quarantine",
                &["registry"],
            )?,
            refreshes: registrar.counters(
                "credential_refresh_total",
                "Attempts to have a cloud issue a token for the identity of the controller, by outcome",
                &["provider", "outcome"],
            )?,
            used: Mutex::default(),
        })
    }

    /// Counts a request to a registry or its token server. The result is `ok` or the kind of the error.
    pub(crate) fn request(
        &self,
        registry: &str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        let mut used = self.used.lock();
        let usage = touch(&mut used, registry);
        usage.requests.insert((operation, result));
        let labels = [registry, operation, result];
        self.requests.with_label_values(&labels).inc();
        self.duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// Sets the number of pulls that remain before the rate limit of a registry.
    pub(crate) fn rate_limit(&self, registry: &str, remaining: u64) {
        let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
        let mut used = self.used.lock();
        touch(&mut used, registry);
        self.rate_limit
            .with_label_values(&[registry])
            .set(remaining);
    }

    /// Sets until when no requests are sent to a registry; `None` ends the backoff.
    pub(crate) fn backoff(&self, registry: &str, until: Option<Timestamp>) {
        let until = until.map_or(0.0, seconds);
        let mut used = self.used.lock();
        touch(&mut used, registry);
        self.backoff_until.with_label_values(&[registry]).set(until);
    }

    /// Counts an attempt to have a cloud issue a token. It creates the series of both outcomes, so that the first failure is an
    /// increase from 0.
    pub(crate) fn refreshed(&self, provider: &str, issued: bool) {
        for (outcome, is_outcome) in [("succeeded", issued), ("failed", !issued)] {
            let counter = self.refreshes.with_label_values(&[provider, outcome]);
            counter.inc_by(is_outcome.into());
        }
    }

    /// Sets the number of quarantined credentials per registry.
    pub(super) fn quarantined(&self, counts: &BTreeMap<String, usize>) {
        let mut used = self.used.lock();
        for registry in counts.keys() {
            touch(&mut used, registry).has_refused = true;
        }
        for (registry, _) in used.iter().filter(|(_, usage)| usage.has_refused) {
            let count = counts.get(registry).copied().unwrap_or_default();
            self.quarantined
                .with_label_values(&[registry])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Clears the series that only the leader reports, so that sums over replicas are correct.
    pub(super) fn clear(&self) {
        self.quarantined.reset();
    }

    /// Drops the series of registries that are no longer used.
    pub(crate) fn tidy(&self) {
        self.used.lock().retain(|registry, usage| {
            if usage.at.elapsed() < TTL {
                return true;
            }
            for (operation, result) in &usage.requests {
                let labels = [registry, *operation, *result];
                let _ = self.requests.remove_label_values(&labels);
                let _ = self.duration.remove_label_values(&labels);
            }
            // Series that were never set do not exist.
            let _ = self.rate_limit.remove_label_values(&[registry]);
            let _ = self.backoff_until.remove_label_values(&[registry]);
            let _ = self.quarantined.remove_label_values(&[registry]);
            false
        });
    }
}

/// Marks the registry as used now.
fn touch<'a>(used: &'a mut HashMap<String, Usage>, registry: &str) -> &'a mut Usage {
    let usage = used.entry(registry.to_owned()).or_insert_with(|| Usage {
        at: Instant::now(),
        requests: BTreeSet::new(),
        has_refused: false,
    });
    usage.at = Instant::now();
    usage
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::super::Metrics;

    #[test]
    fn the_series_of_quarantined_credentials_returns_to_zero() {
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
        assert!(!text.contains(line), "only the leader reports: {text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_series_of_an_unused_registry_are_dropped() {
        let metrics = Metrics::new().expect("metrics");
        let registries = &metrics.registries;
        let series = |registry: &str| {
            let text = metrics.encode(true, &[].into());
            let label = format!("registry=\"{registry}\"");
            text.lines().filter(|line| line.contains(&label)).count()
        };
        let all = |registry| {
            for result in ["ok", "Timeout"] {
                registries.request(registry, "head", result, Duration::ZERO);
            }
            registries.rate_limit(registry, 100);
            registries.backoff(registry, None);
            metrics.encode(true, &[(registry.to_owned(), 1)].into());
        };
        all("a.io");
        all("b.io");
        let before = series("a.io");
        // Once a day
        for _ in 0..3 {
            advance(Duration::from_secs(24 * 60 * 60)).await;
            registries.request("a.io", "head", "ok", Duration::ZERO);
            registries.tidy();
        }
        assert_eq!(series("a.io"), before);
        assert_eq!(series("b.io"), 0);
    }
}
