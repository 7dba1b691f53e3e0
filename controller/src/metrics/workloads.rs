//! Metrics of workloads and their rollouts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kube_autorollout_core::state::State;
use parking_lot::Mutex;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{per_workload::PerWorkload, registrar::Registrar};
use crate::workload::identity::Identity;

/// Seconds: up to and beyond the default progress deadline of ten minutes.
const ROLLOUT_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0,
];

label! {
    /// Outcome of a rollout.
    RolloutOutcome {
        /// The patch was applied.
        Triggered = "triggered",
        /// All pods run the new digest.
        Completed = "completed",
        /// The workload was changed concurrently and is evaluated again.
        Conflict = "conflict",
        /// The API server refused the patch.
        Failed = "failed",
        /// The rollout does not converge.
        NotConverging = "not_converging",
    }
}

/// The metrics of workloads.
pub(crate) struct Workloads {
    states: IntGaugeVec,
    /// The gauges of each workload.
    pub(crate) gauges: PerWorkload,
    rollouts: IntCounterVec,
    rollout_duration: HistogramVec,
    selected: Mutex<HashMap<Group, usize>>,
}

/// A namespace and a kind. Their series are dropped with their last workload: preview environments create hundreds of
/// namespaces a day, and a series takes a kilobyte.
type Group = (Arc<str>, &'static str);

impl Workloads {
    pub(super) fn new(registrar: &Registrar<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            states: registrar.gauges(
                "workloads",
                "Selected workloads by state",
                &["namespace", "kind", "state"],
            )?,
            gauges: PerWorkload::default(),
            rollouts: registrar.counters(
                "rollouts_total",
                "Total rollouts by outcome",
                &["namespace", "kind", "outcome"],
            )?,
            rollout_duration: registrar.histograms(
                "rollout_duration_seconds",
                "Time from the patch to all pods running the new digest",
                &["namespace", "kind"],
                ROLLOUT_BUCKETS,
            )?,
            selected: Mutex::default(),
        })
    }

    /// Counts a workload that is selected now.
    pub(crate) fn select(&self, identity: &Identity) {
        *self.selected.lock().entry(group(identity)).or_default() += 1;
    }

    /// Counts a transition between states; `None` stands for a workload that is not selected.
    pub(crate) fn transition(&self, identity: &Identity, from: Option<State>, to: Option<State>) {
        let gauge = |state: State| {
            let labels = [&*identity.namespace, identity.kind, state.as_str()];
            self.states.with_label_values(&labels)
        };
        match from {
            Some(state) => gauge(state).dec(),
            None => self.create_series(identity),
        }
        if let Some(state) = to {
            gauge(state).inc();
        }
    }

    /// Creates the series of rollouts at 0, as Prometheus does not see the first value of a counter as an increase.
    fn create_series(&self, identity: &Identity) {
        let labels = [&*identity.namespace, identity.kind];
        self.rollout_duration.with_label_values(&labels);
        let [namespace, kind] = labels;
        for outcome in RolloutOutcome::ALL {
            let labels = [namespace, kind, outcome.as_str()];
            self.rollouts.with_label_values(&labels);
        }
    }

    /// Drops the gauges of a workload, and with the last of its namespace and kind their series.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.gauges.forget(identity);
        let mut selected = self.selected.lock();
        let group = group(identity);
        let left = selected
            .get(&group)
            .map_or(0, |count| count.saturating_sub(1));
        if left > 0 {
            selected.insert(group, left);
            return;
        }
        selected.remove(&group);
        let (namespace, kind) = (&*identity.namespace, identity.kind);
        for state in State::ALL {
            // Series that were never set do not exist.
            let _ = self
                .states
                .remove_label_values(&[namespace, kind, state.as_str()]);
        }
        for outcome in RolloutOutcome::ALL {
            let labels = [namespace, kind, outcome.as_str()];
            let _ = self.rollouts.remove_label_values(&labels);
        }
        let _ = self
            .rollout_duration
            .remove_label_values(&[namespace, kind]);
    }

    /// Clears the series that only the leader reports, so that sums over replicas are correct.
    pub(crate) fn clear(&self) {
        self.states.reset();
        self.gauges.clear();
    }

    /// Counts a rollout, unless the workload is no longer selected: nothing would drop the series then.
    pub(crate) fn rollout(&self, identity: &Identity, outcome: RolloutOutcome) {
        let selected = self.selected.lock();
        if !selected.contains_key(&group(identity)) {
            return;
        }
        let labels = [&*identity.namespace, identity.kind, outcome.as_str()];
        self.rollouts.with_label_values(&labels).inc();
    }

    /// Observes the duration of a completed rollout.
    pub(crate) fn rollout_took(&self, identity: &Identity, took: Duration) {
        let labels = [&*identity.namespace, identity.kind];
        self.rollout_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }
}

fn group(identity: &Identity) -> Group {
    (Arc::clone(&identity.namespace), identity.kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::{super::Metrics, *};

    /// The samples that name the namespace.
    fn series(metrics: &Metrics, namespace: &str) -> usize {
        let text = metrics.encode(true, &BTreeMap::new());
        let label = format!("namespace=\"{namespace}\"");
        text.lines().filter(|line| line.contains(&label)).count()
    }

    #[test]
    fn the_series_of_a_namespace_are_dropped_with_its_last_workload() {
        let metrics = Metrics::new().expect("metrics");
        let workloads = &metrics.workloads;
        let [web, api] = ["web", "api"].map(|name| Identity::deployment("shop", name));
        let other = Identity::deployment("other", "web-of-another");
        for identity in [&web, &api, &other] {
            workloads.select(identity);
            workloads.transition(identity, None, Some(State::RollingOut));
            workloads.rollout(identity, RolloutOutcome::Triggered);
            workloads.transition(identity, Some(State::RollingOut), Some(State::UpToDate));
            workloads.rollout_took(identity, Duration::from_secs(3));
            let at = Some(Timestamp::UNIX_EPOCH);
            workloads.gauges.update(identity, |gauges| {
                gauges.checked(at);
                gauges.outdated(false);
            });
        }
        let before = series(&metrics, "shop");
        let of_each = 2;
        workloads.transition(&web, Some(State::UpToDate), None);
        workloads.forget(&web);
        assert_eq!(series(&metrics, "shop"), before - of_each);
        workloads.transition(&api, Some(State::UpToDate), None);
        workloads.forget(&api);
        assert_eq!(series(&metrics, "shop"), 0);
        workloads.rollout(&api, RolloutOutcome::Triggered);
        assert_eq!(series(&metrics, "shop"), 0, "it is no longer selected");
        assert_eq!(series(&metrics, "other"), before - of_each);

        workloads.select(&web);
        workloads.transition(&web, None, Some(State::UpToDate));
        let text = metrics.encode(true, &BTreeMap::new());
        let counts_from_nothing = |line: &str| {
            line.contains("rollouts_total") && line.contains("shop") && line.ends_with(" 0")
        };
        let counters = text
            .lines()
            .filter(|line| counts_from_nothing(line))
            .count();
        assert_eq!(counters, RolloutOutcome::ALL.len());
    }
}
