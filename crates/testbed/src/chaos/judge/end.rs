//! The final state of the workloads.

use std::collections::BTreeMap;

use super::{Finding, Violation, runs::Runs};
use crate::chaos::history::{History, Run};

/// The workloads that do not run in the end what their tags name, although they should. Where there are not enough nodes,
/// the pods that run count.
pub fn stale(history: &History) -> Vec<Finding> {
    let runs = Runs::of(history.runs.iter().filter(|run| run.to.is_none()));
    let named: BTreeMap<&str, &str> = history
        .moves
        .iter()
        .map(|moved| (moved.tag.as_str(), moved.config.as_str()))
        .collect();
    let mut violations = Vec::new();
    for subject in history.subjects.iter().filter(|one| one.has_to_run()) {
        for (container, tag) in &subject.tags {
            let wanted = named.get(tag.as_str()).copied();
            let (current, others): (Vec<&Run>, Vec<&Run>) = runs
                .of_container(subject, container)
                .into_iter()
                .partition(|run| Some(run.config.as_str()) == wanted);
            let all_run = if subject.crowded {
                current.len() <= subject.pods
            } else {
                current.len() == subject.pods
            };
            if !all_run || !others.is_empty() {
                violations.push(Finding {
                    name: subject.name.clone(),
                    at: None,
                    violation: Violation::Stale {
                        container: container.clone(),
                        pods: subject.pods,
                        current: current.len(),
                        others: others.len(),
                    },
                });
            }
        }
    }
    violations
}

/// The workloads that do not have all their pods in the end, or have one of an older template, ready or not.
pub fn outdated(history: &History) -> Vec<Finding> {
    let mut counts: BTreeMap<(&str, &str), [usize; 2]> = BTreeMap::new();
    for pod in &history.pods {
        let [found, newest] = counts.entry((&pod.namespace, &pod.workload)).or_default();
        *found += 1;
        *newest += usize::from(pod.newest);
    }
    let mut violations = Vec::new();
    for subject in history.subjects.iter().filter(|one| one.has_to_run()) {
        let name = &subject.name;
        let [found, newest] = counts
            .get(&(name.namespace.as_str(), name.name.as_str()))
            .copied()
            .unwrap_or_default();
        if found != subject.pods || newest != subject.pods {
            violations.push(Finding {
                name: name.clone(),
                at: None,
                violation: Violation::Outdated {
                    pods: subject.pods,
                    found,
                    newest,
                },
            });
        }
    }
    violations
}
