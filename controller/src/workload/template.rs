//! Pod templates.

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, TemplateContainer},
    record::Record,
};
use serde::{Deserialize, Deserializer};

/// A pod template, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct Template {
    #[serde(default)]
    metadata: TemplateMetadata,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
pub(super) struct TemplateMetadata {
    #[serde(default)]
    pub(super) annotations: Option<Box<TemplateAnnotations>>,
}

/// The annotations of a template that are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub(super) struct TemplateAnnotations {
    #[serde(rename = "kube-autorollout/digests")]
    digests: Option<Box<str>>,
    #[serde(rename = "kube-autorollout/attempts")]
    attempts: Option<Box<str>>,
    #[serde(rename = "kube-autorollout/restartedAt")]
    restarted_at: Option<Box<str>>,
    #[serde(rename = "kubectl.kubernetes.io/restartedAt")]
    kubectl_restarted_at: Option<Box<str>>,
    #[serde(rename = "kube-autorollout/pins")]
    pins: Option<Box<str>>,
    #[serde(rename = "kube-autorollout/pin", deserialize_with = "is_false")]
    unpinned: bool,
}

/// Whether the value is `false`.
fn is_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(deserializer)? == "false")
}

impl TemplateAnnotations {
    fn get(&self, key: &str) -> Option<&str> {
        let value = match key {
            annotations::DIGESTS => &self.digests,
            annotations::ATTEMPTS => &self.attempts,
            annotations::RESTARTED_AT => &self.restarted_at,
            annotations::KUBECTL_RESTARTED_AT => &self.kubectl_restarted_at,
            annotations::PINS => &self.pins,
            _ => &None,
        };
        value.as_deref()
    }

    /// The digests that it was rolled out to.
    pub(super) fn record(&self) -> Option<Record> {
        self.digests.as_deref().and_then(Record::parse)
    }

    /// The time of our last rollout: the annotation `restarted_at`, but only together with our record, as `kubectl` sets it,
    /// too. Without it the other annotation counts, as the configuration may have changed.
    pub(super) fn last_rollout(&self, restarted_at: &str) -> Option<Timestamp> {
        self.get(annotations::DIGESTS)?;
        let instant = |key| self.get(key)?.parse().ok();
        let others = [annotations::RESTARTED_AT, annotations::KUBECTL_RESTARTED_AT];
        instant(restarted_at).or_else(|| others.into_iter().find_map(instant))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    #[serde(default)]
    containers: Box<[Container]>,
    #[serde(default)]
    init_containers: Box<[Container]>,
}

/// A container, as far as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    /// Unique within its pod.
    pub(crate) name: Box<str>,
    /// The image as the user wrote it.
    #[serde(default)]
    pub(crate) image: Box<str>,
    #[serde(default)]
    restart_policy: Option<Box<str>>,
}

impl Container {
    /// The container with its role; `init` is whether it is in the list of init containers.
    fn with_role(&self, init: bool) -> TemplateContainer<'_> {
        let kind = match (init, self.restart_policy.as_deref()) {
            (false, _) => ContainerKind::Regular,
            (true, Some("Always")) => ContainerKind::Sidecar,
            (true, _) => ContainerKind::Init,
        };
        TemplateContainer {
            name: &self.name,
            kind,
        }
    }
}

impl Template {
    /// The value of an annotation, if it is one of those that are read.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key)
    }

    /// The time of our last rollout.
    pub(super) fn last_rollout(&self, restarted_at: &str) -> Option<Timestamp> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.last_rollout(restarted_at)
    }

    /// Whether the annotation [`PIN`](annotations::PIN) disables pins.
    pub(crate) fn is_unpinned(&self) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.is_some_and(|annotations| annotations.unpinned)
    }

    /// The image of a container or init container.
    pub(crate) fn image(&self, name: &str) -> Option<&str> {
        let container = self.all().find(|container| *container.name == *name)?;
        Some(&container.image)
    }

    /// The names of all containers, in the template's order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(|container| &*container.name)
    }

    /// All containers with their roles, in the template's order.
    pub(crate) fn containers(&self) -> impl Iterator<Item = TemplateContainer<'_>> {
        let (regular, init) = (
            self.spec.containers.iter(),
            self.spec.init_containers.iter(),
        );
        let regular = regular.map(|container| container.with_role(false));
        regular.chain(init.map(|container| container.with_role(true)))
    }

    fn all(&self) -> impl Iterator<Item = &Container> {
        self.spec
            .containers
            .iter()
            .chain(&self.spec.init_containers)
    }
}
