//! Series about workloads and their rollouts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube_autorollout_core::state::State;
use parking_lot::Mutex;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::{each::Each, make::Make};
use crate::workload::identity::Identity;

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
    selected: Mutex<HashMap<Group, usize>>,
}

/// A namespace and a kind. The series of both go with their last workload: namespaces come and go by hundreds a day where
/// each change is tried out in one of its own, and a series is a kilobyte.
type Group = (Arc<str>, &'static str);

impl Workloads {
    pub(super) fn new(make: &Make<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            states: make.gauges(
                "workloads",
                "Selected workloads by state",
                &["namespace", "kind", "state"],
            )?,
            each: Each::default(),
            rollouts: make.counters(
                "rollouts_total",
                "Total rollouts by outcome",
                &["namespace", "kind", "outcome"],
            )?,
            rollout_duration: make.histograms(
                "rollout_duration_seconds",
                "Time from the patch to all pods running the new digest",
                &["namespace", "kind"],
                ROLLOUT_BUCKETS,
            )?,
            selected: Mutex::default(),
        })
    }

    /// A workload is selected that was not.
    pub(crate) fn select(&self, identity: &Identity) {
        *self.selected.lock().entry(group(identity)).or_default() += 1;
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

    /// Whether the pods of a workload that are to be pinned are, and whether a registry does not have what they are pinned to.
    pub(crate) fn pinned(&self, identity: &Identity, pinned: bool, gone: bool) {
        self.each.pinned(identity, pinned, gone);
    }

    /// A workload was compared with its registries.
    pub(crate) fn checked(&self, identity: &Identity, at: Timestamp) {
        self.each.checked(identity, at);
    }

    /// A workload is no longer selected: its own series go, and with the last one of its kind those of its namespace.
    pub(crate) fn forget(&self, identity: &Identity) {
        self.each.forget(identity);
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
            // What was never reported is not there
            let _ = self
                .states
                .remove_label_values(&[namespace, kind, state.as_str()]);
        }
        for outcome in Outcome::ALL {
            let labels = [namespace, kind, outcome.as_str()];
            let _ = self.rollouts.remove_label_values(&labels);
        }
        let _ = self
            .rollout_duration
            .remove_label_values(&[namespace, kind]);
    }

    /// This replica does not lead any more: what only the leader reports goes, so that sums over replicas are right.
    pub(crate) fn clear(&self) {
        self.states.reset();
        self.each.clear();
    }

    /// Writes the series that each workload has for itself.
    pub(super) fn write_each(&self, prefix: &str, text: &mut String) {
        self.each.write(prefix, text);
    }

    /// A rollout went on. That of a workload that has gone meanwhile is not counted, as nothing would end its series.
    pub(crate) fn rollout(&self, identity: &Identity, outcome: Outcome) {
        let selected = self.selected.lock();
        if !selected.contains_key(&group(identity)) {
            return;
        }
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

fn group(identity: &Identity) -> Group {
    (Arc::clone(&identity.namespace), identity.kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::Metrics, *};

    /// The samples that name the namespace.
    fn series(metrics: &Metrics, namespace: &str) -> usize {
        let text = metrics.encode(true, &BTreeMap::new());
        let label = format!("namespace=\"{namespace}\"");
        text.lines().filter(|line| line.contains(&label)).count()
    }

    #[test]
    fn the_series_of_a_namespace_go_with_its_last_workload() {
        let metrics = Metrics::new().expect("metrics");
        let workloads = &metrics.workloads;
        let [web, api] = ["web", "api"].map(|name| Identity::deployment("shop", name));
        let other = Identity::deployment("other", "web-of-another");
        for identity in [&web, &api, &other] {
            workloads.select(identity);
            workloads.moved(identity, None, Some(State::RollingOut));
            workloads.rollout(identity, Outcome::Triggered);
            workloads.moved(identity, Some(State::RollingOut), Some(State::UpToDate));
            workloads.rollout_took(identity, Duration::from_secs(3));
            workloads.checked(identity, Timestamp::UNIX_EPOCH);
            workloads.outdated(identity, false);
        }
        let before = series(&metrics, "shop");
        let of_each = 2;
        workloads.moved(&web, Some(State::UpToDate), None);
        workloads.forget(&web);
        assert_eq!(series(&metrics, "shop"), before - of_each);
        workloads.moved(&api, Some(State::UpToDate), None);
        workloads.forget(&api);
        assert_eq!(series(&metrics, "shop"), 0);
        workloads.rollout(&api, Outcome::Triggered);
        assert_eq!(series(&metrics, "shop"), 0, "it is not there any more");
        assert_eq!(series(&metrics, "other"), before - of_each);

        workloads.select(&web);
        workloads.moved(&web, None, Some(State::UpToDate));
        let text = metrics.encode(true, &BTreeMap::new());
        let counts_from_nothing = |line: &str| {
            line.contains("rollouts_total") && line.contains("shop") && line.ends_with(" 0")
        };
        let counters = text
            .lines()
            .filter(|line| counts_from_nothing(line))
            .count();
        assert_eq!(counters, Outcome::ALL.len());
    }
}
