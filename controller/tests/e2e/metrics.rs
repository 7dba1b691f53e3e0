//! The controller's metrics, as tests read them.

use std::collections::BTreeMap;

use kube_autorollout_testbed::controller::{self, label};

/// The metrics of one scrape; names are given without our prefix.
pub(crate) struct Metrics(pub(crate) controller::Metrics);

impl Metrics {
    /// The sum of the samples with these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0.sum(&full(name), labels)
    }

    /// The value of the only sample with these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.0.value(&full(name), labels)
    }

    /// The samples of workloads, which have a label for their namespace.
    pub(crate) fn of_namespaces(&self) -> Vec<&str> {
        let lines = self.0.text().lines();
        lines.filter(|line| line.contains("namespace=")).collect()
    }

    /// The memory that the controller takes, in bytes.
    pub(crate) fn resident(&self) -> f64 {
        self.0.sum("process_resident_memory_bytes", &[])
    }

    /// How many workloads are in which state.
    pub(crate) fn states(&self) -> BTreeMap<String, usize> {
        let name = full("workloads");
        let states = self
            .0
            .lines(&name, &[])
            .filter_map(|line| label(line, "state"));
        let counts = states.map(|state| {
            let count = self.0.count(&name, &[("state", state)]);
            (
                state.to_owned(),
                usize::try_from(count).expect("a number of workloads"),
            )
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// How many rollouts had this outcome.
    pub(crate) fn rollouts(&self, outcome: &str) -> u64 {
        let name = full("rollouts_total");
        self.0.count(&name, &[("outcome", outcome)])
    }

    /// When a workload was checked last; zero before.
    pub(crate) fn last_check(&self, name: &str) -> f64 {
        self.sum("workload_last_check_timestamp_seconds", &[("name", name)])
    }

    /// The value of a metric of the workload `web`.
    pub(crate) fn of_web(&self, name: &str) -> Option<f64> {
        self.value(name, &[("name", "web")])
    }

    /// The summary for a condition that does not come true.
    pub(crate) fn summary(&self) -> String {
        let rollouts = full("rollouts_total");
        let rollouts: Vec<_> = self.0.lines(&rollouts, &[]).collect();
        format!("{:?}, {}", self.states(), rollouts.join(", "))
    }
}

fn full(name: &str) -> String {
    format!("kube_autorollout_{name}")
}
