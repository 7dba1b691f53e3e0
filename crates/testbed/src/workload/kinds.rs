//! The other kinds of workloads. What all kinds have in common is described as a Deployment.

use k8s_openapi::api::apps::v1 as apps;

use super::Deployment;

/// A StatefulSet in the making.
///
/// ```
/// use kube_autorollout_testbed::workload::{Deployment, StatefulSet};
///
/// let like = Deployment::named("db").replicas(3).container("app", "127.0.0.1:5000/db:stable");
/// let set = StatefulSet::like(like).partition(1).build();
/// assert_eq!(set.spec.and_then(|spec| spec.replicas), Some(3));
/// ```
#[derive(Debug, Clone)]
pub struct StatefulSet {
    like: Deployment,
    strategy: apps::StatefulSetUpdateStrategy,
}

impl StatefulSet {
    /// With the name, labels, annotations, replicas and pods of this Deployment.
    pub fn like(deployment: Deployment) -> Self {
        Self {
            like: deployment,
            strategy: apps::StatefulSetUpdateStrategy::default(),
        }
    }

    /// Pods with a lower number keep their template when it changes.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        let rolling = self.strategy.rolling_update.get_or_insert_default();
        rolling.partition = Some(partition);
        self
    }

    /// A changed template replaces no pod.
    #[must_use]
    pub fn on_delete(mut self) -> Self {
        self.strategy.type_ = Some("OnDelete".to_owned());
        self
    }

    /// The object, as it is sent to the API server.
    pub fn build(self) -> apps::StatefulSet {
        let like = self.like.build();
        apps::StatefulSet {
            metadata: like.metadata,
            spec: like.spec.map(|spec| apps::StatefulSetSpec {
                replicas: spec.replicas,
                selector: spec.selector,
                template: spec.template,
                update_strategy: Some(self.strategy),
                ..apps::StatefulSetSpec::default()
            }),
            status: None,
        }
    }
}

/// A DaemonSet in the making: it runs one pod on every node.
#[derive(Debug, Clone)]
pub struct DaemonSet {
    like: Deployment,
    strategy: apps::DaemonSetUpdateStrategy,
}

impl DaemonSet {
    /// With the name, labels, annotations and pods of this Deployment.
    pub fn like(deployment: Deployment) -> Self {
        Self {
            like: deployment,
            strategy: apps::DaemonSetUpdateStrategy::default(),
        }
    }

    /// A changed template replaces no pod.
    #[must_use]
    pub fn on_delete(mut self) -> Self {
        self.strategy.type_ = Some("OnDelete".to_owned());
        self
    }

    /// The object, as it is sent to the API server.
    pub fn build(self) -> apps::DaemonSet {
        let like = self.like.build();
        apps::DaemonSet {
            metadata: like.metadata,
            spec: like.spec.map(|spec| apps::DaemonSetSpec {
                selector: spec.selector,
                template: spec.template,
                update_strategy: Some(self.strategy),
                ..apps::DaemonSetSpec::default()
            }),
            status: None,
        }
    }
}
