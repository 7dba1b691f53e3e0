//! What Prometheus sees: the list of series is a contract with users.
//!
//! Labels hold names of objects, kinds, hosts and closed sets of words; never an image, a digest or an error's text.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector, process_collector::ProcessCollector,
};
use tracing::error;

use crate::identity::Identity;

/// Seconds; a rollout takes from seconds to the ten minutes after which Kubernetes gives up by default.
const ROLLOUT_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0,
];

/// Seconds; a reconcile without input or output takes microseconds, one that waits for a registry up to a minute.
const RECONCILE_BUCKETS: &[f64] = &[0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// Seconds; from a registry next door to one that times out.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// How a rollout went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The patch was accepted.
    Triggered,
    /// The pods run what it was for.
    Completed,
    /// Somebody else changed the workload first; it is decided again.
    Conflict,
    /// The API server refused the patch.
    Failed,
    /// The pods do not run what it was for.
    NotConverging,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Completed => "completed",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
            Self::NotConverging => "not_converging",
        }
    }
}

/// How a reconcile ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reconciled {
    /// Something was written to the workload.
    Changed,
    /// Nothing had to be.
    Unchanged,
    /// It has to be tried again.
    Error,
}

impl Reconciled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Error => "error",
        }
    }
}

/// Every series of the controller.
pub(crate) struct Metrics {
    ours: Registry,
    process: Registry,
    workloads: IntGaugeVec,
    outdated: IntGaugeVec,
    last_check: GaugeVec,
    rollouts: IntCounterVec,
    rollout_duration: HistogramVec,
    reconciliations: IntCounterVec,
    reconcile_duration: HistogramVec,
    registry_requests: IntCounterVec,
    registry_duration: HistogramVec,
    rate_limit: IntGaugeVec,
    backoff_until: GaugeVec,
    watch_errors: IntCounterVec,
    events_dropped: IntCounter,
}

impl Metrics {
    /// All series, at nothing.
    ///
    /// # Errors
    ///
    /// When a name or label is not one of Prometheus's, which a test would have found.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let ours = Registry::new_custom(Some("kube_autorollout".to_owned()), None)?;
        let process = Registry::new();
        process.register(Box::new(ProcessCollector::for_self()))?;
        let make = Make(&ours);
        make.build_info()?;
        // Without leader election whoever runs leads.
        make.keep(IntGauge::new(
            "leader",
            "1 while this replica may roll workloads out",
        )?)?
        .set(1);
        Ok(Self {
            workloads: make.gauges(
                "workloads",
                "Selected workloads",
                &["namespace", "kind", "state"],
            )?,
            outdated: make.gauges(
                "workload_outdated",
                "1 while a workload does not run what its tags name",
                &["namespace", "kind", "name"],
            )?,
            last_check: make.floats(
                "workload_last_check_timestamp_seconds",
                "When a workload was last compared with its registries",
                &["namespace", "kind", "name"],
            )?,
            rollouts: make.counters(
                "rollouts_total",
                "Rollouts",
                &["namespace", "kind", "outcome"],
            )?,
            rollout_duration: make.histograms(
                "rollout_duration_seconds",
                "From the patch until the pods run what it was for",
                &["namespace", "kind"],
                ROLLOUT_BUCKETS,
            )?,
            reconciliations: make.counters(
                "reconciliations_total",
                "Decisions about workloads",
                &["kind", "outcome"],
            )?,
            reconcile_duration: make.histograms(
                "reconcile_duration_seconds",
                "Time to observe, decide and apply",
                &["kind", "outcome"],
                RECONCILE_BUCKETS,
            )?,
            registry_requests: make.counters(
                "registry_requests_total",
                "Requests to registries and their token servers",
                &["registry", "operation", "result"],
            )?,
            registry_duration: make.histograms(
                "registry_request_duration_seconds",
                "Time until a registry or its token server has answered",
                &["registry", "operation", "result"],
                REQUEST_BUCKETS,
            )?,
            rate_limit: make.gauges(
                "registry_rate_limit_remaining",
                "Pulls that a registry still grants us",
                &["registry"],
            )?,
            backoff_until: make.floats(
                "registry_backoff_until_timestamp_seconds",
                "Until when a registry that asked for it is left alone",
                &["registry"],
            )?,
            watch_errors: make.counters("watch_errors_total", "Interrupted watches", &["kind"])?,
            events_dropped: make.keep(IntCounter::new(
                "events_dropped_total",
                "Events that could not be written",
            )?)?,
            ours,
            process,
        })
    }

    /// Everything in Prometheus's text format.
    pub(crate) fn encode(&self) -> String {
        let mut families = self.ours.gather();
        families.extend(self.process.gather());
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            error!(%error, "cannot write the metrics");
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// A workload is now in another state; nothing stands for not being selected.
    pub(crate) fn moved(&self, identity: &Identity, from: Option<State>, to: Option<State>) {
        let gauge = |state: State| {
            self.workloads.with_label_values(&[
                identity.namespace.as_str(),
                identity.kind,
                state.as_str(),
            ])
        };
        if let Some(state) = from {
            gauge(state).dec();
        }
        if let Some(state) = to {
            gauge(state).inc();
        }
    }

    /// Whether a workload runs what its tags name.
    pub(crate) fn outdated(&self, identity: &Identity, outdated: bool) {
        self.outdated
            .with_label_values(&series(identity))
            .set(outdated.into());
    }

    /// A workload was compared with its registries.
    pub(crate) fn checked(&self, identity: &Identity, at: Timestamp) {
        self.last_check
            .with_label_values(&series(identity))
            .set(seconds(at));
    }

    /// A workload is no longer selected: its own series go.
    pub(crate) fn forget(&self, identity: &Identity) {
        // What was never set cannot be removed, and need not be.
        drop(self.outdated.remove_label_values(&series(identity)));
        drop(self.last_check.remove_label_values(&series(identity)));
    }

    /// A rollout went on.
    pub(crate) fn rollout(&self, identity: &Identity, outcome: Outcome) {
        let labels = [identity.namespace.as_str(), identity.kind, outcome.as_str()];
        self.rollouts.with_label_values(&labels).inc();
    }

    /// A rollout has ended well after so long.
    pub(crate) fn rollout_took(&self, identity: &Identity, took: Duration) {
        let labels = [identity.namespace.as_str(), identity.kind];
        self.rollout_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// A reconcile has ended.
    pub(crate) fn reconciled(&self, kind: &str, outcome: Reconciled, took: Duration) {
        let labels = [kind, outcome.as_str()];
        self.reconciliations.with_label_values(&labels).inc();
        self.reconcile_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// A request to a registry or its token server has ended with `ok` or the kind of its error.
    pub(crate) fn registry_request(
        &self,
        registry: &str,
        operation: &str,
        result: &str,
        took: Duration,
    ) {
        let labels = [registry, operation, result];
        self.registry_requests.with_label_values(&labels).inc();
        self.registry_duration
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

    /// A watch was interrupted.
    pub(crate) fn watch_error(&self, kind: &str) {
        self.watch_errors.with_label_values(&[kind]).inc();
    }

    /// An Event was lost.
    pub(crate) fn event_dropped(&self) {
        self.events_dropped.inc();
    }
}

fn series(identity: &Identity) -> [&str; 3] {
    [&identity.namespace, identity.kind, &identity.name]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit into 53 bits for 285,000 years"
)]
fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// Makes series and registers them.
struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn keep<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, prometheus::Error> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn floats(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.keep(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(HistogramVec::new(options, labels)?)
    }

    fn build_info(&self) -> Result<(), prometheus::Error> {
        let info = self.gauges("build_info", "Always 1", &["version", "revision", "rustc"])?;
        let labels = [
            env!("CARGO_PKG_VERSION"),
            env!("BUILD_REVISION"),
            env!("BUILD_RUSTC"),
        ];
        info.with_label_values(&labels).set(1);
        Ok(())
    }
}
