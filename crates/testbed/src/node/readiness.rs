//! Pods whose probes fail, whatever the behaviour of their images.

use std::collections::HashSet;

use tokio::sync::watch;

/// Which pods are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Pods {
    /// The pod of this name, and each later one with the same name.
    Named {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// All pods of a workload, by the label `app` of the testbed's workloads.
    Of {
        /// Its namespace.
        namespace: String,
        /// The workload's name.
        workload: String,
    },
    /// Pods with a container that runs an image with this marker: the argument of
    /// [`Image::new`](crate::image::Image::new).
    Running {
        /// The marker.
        marker: String,
    },
}

/// A pod, as far as [`Pods`] can mean it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// The label `app`.
    pub(super) workload: Option<&'a str>,
    pub(super) markers: &'a [&'a str],
}

impl Pods {
    fn mean(&self, pod: Candidate<'_>) -> bool {
        match self {
            Self::Named { namespace, name } => pod.namespace == namespace && pod.name == name,
            Self::Of {
                namespace,
                workload,
            } => pod.namespace == namespace && pod.workload == Some(workload.as_str()),
            Self::Running { marker } => pod.markers.contains(&marker.as_str()),
        }
    }
}

/// The pods that are not ready until they are released.
#[derive(Debug, Default)]
pub(super) struct Unready(watch::Sender<HashSet<Pods>>);

impl Unready {
    pub(super) fn insert(&self, pods: Pods) {
        self.0.send_modify(|unready| {
            unready.insert(pods);
        });
    }

    pub(super) fn remove(&self, pods: &Pods) {
        self.0.send_modify(|unready| {
            unready.remove(pods);
        });
    }

    /// Notified of every change.
    pub(super) fn changes(&self) -> watch::Receiver<HashSet<Pods>> {
        self.0.subscribe()
    }

    pub(super) fn contains(&self, pod: Candidate<'_>) -> bool {
        self.0.borrow().iter().any(|pods| pods.mean(pod))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_meant_by_their_names_their_workloads_or_what_they_run() {
        let pod = Candidate {
            namespace: "one",
            name: "web-0",
            workload: Some("web"),
            markers: &["v1", "side"],
        };
        let named = |namespace: &str, name: &str| Pods::Named {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let of = |namespace: &str, workload: &str| Pods::Of {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
        };
        let running = |marker: &str| Pods::Running {
            marker: marker.to_owned(),
        };
        for (pods, expected) in [
            (named("one", "web-0"), true),
            (named("two", "web-0"), false),
            (named("one", "web-1"), false),
            (of("one", "web"), true),
            (of("two", "web"), false),
            (of("one", "db"), false),
            (running("side"), true),
            (running("v2"), false),
        ] {
            assert_eq!(pods.mean(pod), expected, "{pods:?}");
        }
    }
}
