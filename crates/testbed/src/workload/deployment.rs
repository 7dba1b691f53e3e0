//! A Deployment as users write it, which also describes what all kinds have in common.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1 as apps,
        core::v1::{
            Container, LocalObjectReference, PodSpec, PodTemplateSpec, ResourceRequirements,
            Toleration,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity, apis::meta::v1::LabelSelector, util::intstr::IntOrString,
    },
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::node::POOL;

/// The label that selects a workload for kube-autorollout.
pub const ENABLED_LABEL: &str = "kube-autorollout/enabled";

/// A Deployment in the making.
///
/// Its pods are labelled `app: <name>`, and its containers pull with `Always` unless another policy is set.
///
/// ```
/// use kube_autorollout_testbed::workload::Deployment;
///
/// let deployment = Deployment::named("web")
///     .replicas(3)
///     .container("app", "127.0.0.1:5000/web:stable")
///     .labelled()
///     .build();
/// assert_eq!(deployment.spec.and_then(|spec| spec.replicas), Some(3));
/// ```
#[derive(Debug, Clone)]
pub struct Deployment {
    metadata: ObjectMeta,
    spec: apps::DeploymentSpec,
    template: ObjectMeta,
    pods: PodSpec,
    pull_policy: String,
}

impl Deployment {
    /// A Deployment of one replica, so far without a container.
    pub fn named(name: &str) -> Self {
        let labels = BTreeMap::from([("app".to_owned(), name.to_owned())]);
        Self {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            spec: apps::DeploymentSpec {
                replicas: Some(1),
                selector: LabelSelector {
                    match_labels: Some(labels.clone()),
                    ..LabelSelector::default()
                },
                ..apps::DeploymentSpec::default()
            },
            template: ObjectMeta {
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            pods: PodSpec::default(),
            pull_policy: "Always".to_owned(),
        }
    }

    /// How many pods it wants.
    #[must_use]
    pub const fn replicas(mut self, replicas: i32) -> Self {
        self.spec.replicas = Some(replicas);
        self
    }

    /// One more container.
    #[must_use]
    pub fn container(mut self, name: &str, image: &str) -> Self {
        self.pods.containers.push(container(name, image));
        self
    }

    /// One more init container, which runs to its end before the next one starts.
    #[must_use]
    pub fn init_container(mut self, name: &str, image: &str) -> Self {
        let containers = self.pods.init_containers.get_or_insert_default();
        containers.push(container(name, image));
        self
    }

    /// One more native sidecar: an init container that keeps running.
    #[must_use]
    pub fn sidecar(mut self, name: &str, image: &str) -> Self {
        let containers = self.pods.init_containers.get_or_insert_default();
        containers.push(Container {
            restart_policy: Some("Always".to_owned()),
            ..container(name, image)
        });
        self
    }

    /// The `imagePullPolicy` of all containers.
    #[must_use]
    pub fn pull_policy(mut self, policy: &str) -> Self {
        policy.clone_into(&mut self.pull_policy);
        self
    }

    /// Selected for kube-autorollout.
    #[must_use]
    pub fn labelled(mut self) -> Self {
        let labels = self.metadata.labels.get_or_insert_default();
        labels.insert(ENABLED_LABEL.to_owned(), "true".to_owned());
        self
    }

    /// With an annotation of its own.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        let annotations = self.metadata.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With an annotation of its pods.
    #[must_use]
    pub fn template_annotation(mut self, key: &str, value: &str) -> Self {
        let annotations = self.template.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Paused: changes of the template are not rolled out.
    #[must_use]
    pub const fn paused(mut self) -> Self {
        self.spec.paused = Some(true);
        self
    }

    /// After how many seconds without progress a rollout counts as failed.
    #[must_use]
    pub const fn progress_deadline(mut self, seconds: i32) -> Self {
        self.spec.progress_deadline_seconds = Some(seconds);
        self
    }

    /// Its pods run on this node, without a question to the scheduler.
    #[must_use]
    pub fn on_node(mut self, node: &str) -> Self {
        self.pods.node_name = Some(node.to_owned());
        self
    }

    /// Its pods run on the nodes of this pool ([`Scheduling::Pool`](crate::node::Scheduling::Pool)), and on no others.
    #[must_use]
    pub fn on_pool(mut self, pool: &str) -> Self {
        let selector = self.pods.node_selector.get_or_insert_default();
        selector.insert(POOL.to_owned(), pool.to_owned());
        let tolerations = self.pods.tolerations.get_or_insert_default();
        tolerations.push(Toleration {
            key: Some(POOL.to_owned()),
            value: Some(pool.to_owned()),
            ..Toleration::default()
        });
        self
    }

    /// Its pods tolerate every taint, as those of agents do that have to run on each node whatever its state. Without it,
    /// a DaemonSet does not count a node that is away.
    #[must_use]
    pub fn tolerates_all(mut self) -> Self {
        let tolerations = self.pods.tolerations.get_or_insert_default();
        tolerations.push(Toleration {
            operator: Some("Exists".to_owned()),
            ..Toleration::default()
        });
        self
    }

    /// Each container added so far requests this many CPUs of its node.
    #[must_use]
    pub fn requests_cpus(mut self, cpus: u32) -> Self {
        for container in &mut self.pods.containers {
            let amount = ("cpu".to_owned(), Quantity(cpus.to_string()));
            container.resources = Some(ResourceRequirements {
                requests: Some(BTreeMap::from([amount])),
                ..ResourceRequirements::default()
            });
        }
        self
    }

    /// A rolling update with these bounds: pods above `replicas`, and pods missing of them.
    #[must_use]
    pub fn rolling(mut self, max_surge: i32, max_unavailable: i32) -> Self {
        self.spec.strategy = Some(apps::DeploymentStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(apps::RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(max_surge)),
                max_unavailable: Some(IntOrString::Int(max_unavailable)),
            }),
        });
        self
    }

    /// Its pods pull with this Secret.
    #[must_use]
    pub fn pull_secret(mut self, name: &str) -> Self {
        let secrets = self.pods.image_pull_secrets.get_or_insert_default();
        secrets.push(LocalObjectReference {
            name: name.to_owned(),
        });
        self
    }

    /// The object, as it is sent to the API server.
    pub fn build(mut self) -> apps::Deployment {
        let containers = self.pods.containers.iter_mut();
        for container in containers.chain(self.pods.init_containers.iter_mut().flatten()) {
            container.image_pull_policy = Some(self.pull_policy.clone());
        }
        apps::Deployment {
            metadata: self.metadata,
            spec: Some(apps::DeploymentSpec {
                template: PodTemplateSpec {
                    metadata: Some(self.template),
                    spec: Some(self.pods),
                },
                ..self.spec
            }),
            status: None,
        }
    }

    /// Creates it in a namespace.
    ///
    /// # Errors
    ///
    /// The error of the API server or the connection.
    pub async fn create(
        self,
        client: &Client,
        namespace: &str,
    ) -> Result<apps::Deployment, kube::Error> {
        let api = Api::namespaced(client.clone(), namespace);
        api.create(&PostParams::default(), &self.build()).await
    }
}

fn container(name: &str, image: &str) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        ..Container::default()
    }
}
