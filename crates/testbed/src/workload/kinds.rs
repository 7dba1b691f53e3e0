//! The kinds of workloads. What all kinds have in common is described as a Deployment.

use std::str::FromStr;

use k8s_openapi::{api::apps::v1 as apps, apimachinery::pkg::util::intstr::IntOrString};
use kube::core::{ApiResource, DynamicObject};
use serde::Serialize;

use super::deployment::Deployment;

/// A kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pods of ReplicaSets.
    Deployment,
    /// Pods with numbers.
    StatefulSet,
    /// A pod on every node.
    DaemonSet,
}

/// A word that names no kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are deployment, statefulset and daemonset")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    /// Reads the lower-case name.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        match text {
            "deployment" => Ok(Self::Deployment),
            "statefulset" => Ok(Self::StatefulSet),
            "daemonset" => Ok(Self::DaemonSet),
            _ => Err(UnknownKind),
        }
    }
}

impl Kind {
    /// As the API server names it.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<apps::Deployment>(&()),
            Self::StatefulSet => ApiResource::erase::<apps::StatefulSet>(&()),
            Self::DaemonSet => ApiResource::erase::<apps::DaemonSet>(&()),
        }
    }

    /// An object of this kind with the name, labels, annotations, replicas and pods of this Deployment.
    ///
    /// # Errors
    ///
    /// When it is no JSON, which does not happen.
    pub fn object(self, like: Deployment) -> Result<DynamicObject, serde_json::Error> {
        match self {
            Self::Deployment => dynamic(&like.build()),
            Self::StatefulSet => dynamic(&StatefulSet::like(like).build()),
            Self::DaemonSet => dynamic(&DaemonSet::like(like).build()),
        }
    }
}

/// Any object, with its kind in its content only.
///
/// # Errors
///
/// When it is no JSON, which does not happen.
pub(crate) fn dynamic(object: &impl Serialize) -> Result<DynamicObject, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(object)?)
}

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
    management: Option<&'static str>,
}

impl StatefulSet {
    /// With the name, labels, annotations, replicas and pods of this Deployment.
    pub fn like(deployment: Deployment) -> Self {
        Self {
            like: deployment,
            strategy: apps::StatefulSetUpdateStrategy::default(),
            management: None,
        }
    }

    /// Pods come and go without waiting for one another (`podManagementPolicy: Parallel`), and updates wait for none: since
    /// Kubernetes 1.37, which has `maxUnavailable`, they do unless two pods may be unavailable.
    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.management = Some("Parallel");
        let rolling = self.strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable = Some(IntOrString::Int(2));
        self
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
                pod_management_policy: self.management.map(str::to_owned),
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

    /// So many nodes may be without an available pod during an update, where it is one by default.
    #[must_use]
    pub fn max_unavailable(mut self, nodes: i32) -> Self {
        let rolling = self.strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable = Some(IntOrString::Int(nodes));
        self
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
