//! Series about registries: also the observer of the registry client.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};
use tokio::time::Instant;

use super::make::{Make, seconds};

/// Seconds; from a registry next door to one that times out.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The series of a registry go when nothing was heard of it for so long: a daily schedule asks once a day, and what it
/// counts then has to be seen as an increase.
const UNUSED: Duration = Duration::from_secs(49 * 60 * 60);

/// What is asked of registries, and what they ask of us.
pub(crate) struct Registries {
    requests: IntCounterVec,
    duration: HistogramVec,
    rate_limit: IntGaugeVec,
    backoff_until: GaugeVec,
    quarantined: IntGaugeVec,
    refreshes: IntCounterVec,
    known: Mutex<HashMap<String, Known>>,
}

/// The series of one registry.
struct Known {
    /// When something was heard of it last.
    at: Instant,
    /// By operation and result.
    requests: BTreeSet<(&'static str, &'static str)>,
    /// It has refused a credential once: that series goes back to 0.
    refuses: bool,
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
                "Time until a registry or its token server has responded",
                labels,
                REQUEST_BUCKETS,
            )?,
            rate_limit: make.gauges(
                "registry_rate_limit_remaining",
                "Pulls left before the rate limit of a registry",
                &["registry"],
            )?,
            backoff_until: make.instants(
                "registry_backoff_until_timestamp_seconds",
                "Time until which no requests are sent to a registry that asked for it, 0 if there is none",
                &["registry"],
            )?,
            quarantined: make.gauges(
                "credentials_quarantined",
                "Credentials that a registry has refused and that are in quarantine",
                &["registry"],
            )?,
            refreshes: make.counters(
                "credential_refresh_total",
                "Attempts to have a cloud issue a token for the identity of the controller, by outcome",
                &["provider", "outcome"],
            )?,
            known: Mutex::default(),
        })
    }

    /// A request to a registry or its token server has ended with `ok` or the kind of its error.
    pub(crate) fn request(
        &self,
        registry: &str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        let mut known = self.known.lock();
        heard(&mut known, registry)
            .requests
            .insert((operation, result));
        let labels = [registry, operation, result];
        self.requests.with_label_values(&labels).inc();
        self.duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// A registry has said how many pulls it still grants.
    pub(crate) fn rate_limit(&self, registry: &str, remaining: u64) {
        let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
        let mut known = self.known.lock();
        heard(&mut known, registry);
        self.rate_limit
            .with_label_values(&[registry])
            .set(remaining);
    }

    /// A registry is left alone until then, or no longer.
    pub(crate) fn backoff(&self, registry: &str, until: Option<Timestamp>) {
        let until = until.map_or(0.0, seconds);
        let mut known = self.known.lock();
        heard(&mut known, registry);
        self.backoff_until.with_label_values(&[registry]).set(until);
    }

    /// A cloud has issued a token, or has not. Both series are there from the first attempt on, so that the first failure
    /// is a step from 0.
    pub(crate) fn refreshed(&self, provider: &str, issued: bool) {
        for (outcome, is_it) in [("succeeded", issued), ("failed", !issued)] {
            let counter = self.refreshes.with_label_values(&[provider, outcome]);
            counter.inc_by(is_it.into());
        }
    }

    /// So many credentials are not presented now, for each registry that has any.
    pub(super) fn quarantined(&self, counts: &BTreeMap<String, usize>) {
        let mut known = self.known.lock();
        for registry in counts.keys() {
            heard(&mut known, registry).refuses = true;
        }
        for (registry, _) in known.iter().filter(|(_, known)| known.refuses) {
            let count = counts.get(registry).copied().unwrap_or_default();
            self.quarantined
                .with_label_values(&[registry])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// What only the leader reports goes, so that sums over replicas are right.
    pub(super) fn clear(&self) {
        self.quarantined.reset();
    }

    /// Drops the series of registries of which nothing was heard for long.
    pub(crate) fn tidy(&self) {
        self.known.lock().retain(|registry, known| {
            if known.at.elapsed() < UNUSED {
                return true;
            }
            for (operation, result) in &known.requests {
                let labels = [registry, *operation, *result];
                let _ = self.requests.remove_label_values(&labels);
                let _ = self.duration.remove_label_values(&labels);
            }
            // What was never reported is not there
            let _ = self.rate_limit.remove_label_values(&[registry]);
            let _ = self.backoff_until.remove_label_values(&[registry]);
            let _ = self.quarantined.remove_label_values(&[registry]);
            false
        });
    }
}

/// Something was heard of the registry just now.
fn heard<'a>(known: &'a mut HashMap<String, Known>, registry: &str) -> &'a mut Known {
    let known = known.entry(registry.to_owned()).or_insert_with(|| Known {
        at: Instant::now(),
        requests: BTreeSet::new(),
        refuses: false,
    });
    known.at = Instant::now();
    known
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

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
        assert!(!text.contains(line), "only the leader reports: {text}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_series_of_a_registry_that_is_not_used_any_more_go() {
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
