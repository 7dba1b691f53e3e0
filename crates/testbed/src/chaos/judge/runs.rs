//! What ran, by workload.

use std::collections::BTreeMap;

use crate::chaos::history::{Run, Subject};

/// What ran, by the namespaces and names of workloads.
pub(super) struct Runs<'a>(BTreeMap<(&'a str, &'a str), Vec<&'a Run>>);

impl<'a> Runs<'a> {
    pub(super) fn of(runs: impl Iterator<Item = &'a Run>) -> Self {
        let mut index: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for run in runs {
            let workload = (run.namespace.as_str(), run.workload.as_str());
            index.entry(workload).or_default().push(run);
        }
        Self(index)
    }

    pub(super) fn of_container(&self, subject: &Subject, container: &str) -> Vec<&'a Run> {
        let name = &subject.name;
        let found = self.0.get(&(name.namespace.as_str(), name.name.as_str()));
        let runs = found.into_iter().flatten().copied();
        runs.filter(|run| run.container == container).collect()
    }
}
