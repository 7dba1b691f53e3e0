//! Series about workloads and their rollouts.

use std::time::Duration;

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{each::Each, make::Make};
use crate::identity::Identity;

/// Seconds; a rollout takes from seconds to the ten minutes after which Kubernetes gives up by default.
const ROLLOUT_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0,
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
    const ALL: [Self; 5] = [
        Self::Triggered,
        Self::Completed,
        Self::Conflict,
        Self::Failed,
        Self::NotConverging,
    ];

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

/// Where workloads stand.
pub(crate) struct Workloads {
    states: IntGaugeVec,
    each: Each,
    rollouts: IntCounterVec,
    rollout_duration: HistogramVec,
}

impl Workloads {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            states: make.gauges(
                "workloads",
                "Selected workloads",
                &["namespace", "kind", "state"],
            )?,
            each: Each::default(),
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
        })
    }

    /// A workload is now in another state; nothing stands for not being selected.
    pub(crate) fn moved(&self, identity: &Identity, from: Option<State>, to: Option<State>) {
        let gauge = |state: State| {
            let labels = [&*identity.namespace, identity.kind, state.as_str()];
            self.states.with_label_values(&labels)
        };
        match from {
            Some(state) => gauge(state).dec(),
            None => self.begin(identity),
        }
        if let Some(state) = to {
            gauge(state).inc();
        }
    }

    /// Counts from nothing where rollouts may follow: Prometheus takes no notice of the step to a counter's first value.
    fn begin(&self, identity: &Identity) {
        let labels = [&*identity.namespace, identity.kind];
        self.rollout_duration.with_label_values(&labels);
        let [namespace, kind] = labels;
        for outcome in Outcome::ALL {
            let labels = [namespace, kind, outcome.as_str()];
            self.rollouts.with_label_values(&labels);
        }
    }

    /// Whether a workload runs what its tags name.
    pub(crate) fn outdated(&self, identity: &Identity, outdated: bool) {
        self.each.outdated(identity, outdated);
    }

    /// A workload was compared with its registries.
    pub(crate) fn checked(&self, identity: &Identity, at: Timestamp) {
        self.each.checked(identity, at);
    }

    /// A workload is no longer selected: its own series go.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.each.forget(identity);
    }

    /// This replica does not lead any more: what only the leader tells goes, so that sums over replicas are right.
    pub(crate) fn clear(&self) {
        self.states.reset();
        self.each.clear();
    }

    /// Writes the series that each workload has for itself.
    pub(super) fn write_each(&self, prefix: &str, text: &mut String) {
        self.each.write(prefix, text);
    }

    /// A rollout went on.
    pub(crate) fn rollout(&self, identity: &Identity, outcome: Outcome) {
        let labels = [&*identity.namespace, identity.kind, outcome.as_str()];
        self.rollouts.with_label_values(&labels).inc();
    }

    /// A rollout has ended well after so long.
    pub(crate) fn rollout_took(&self, identity: &Identity, took: Duration) {
        let labels = [&*identity.namespace, identity.kind];
        self.rollout_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }
}
