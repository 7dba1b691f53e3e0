//! Pod templates.

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{self, ContainerKind, TemplateContainer},
    record::Record,
};
use serde::{Deserialize, Deserializer};

/// The part of a pod template that is read.
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

/// The one value that makes a difference here.
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

    /// What it was rolled out to.
    pub(super) fn record(&self) -> Option<Record> {
        self.digests.as_deref().and_then(Record::parse)
    }

    /// When we rolled it out, by its own account: the annotation `restarted_at`, which `kubectl` may have set as well, counts
    /// only beside our record. Without it the other one counts, as the configuration may have changed.
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

/// The part of a container that is read.
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
    /// The container as `core` knows it; `init` says in which list it stands.
    fn described(&self, init: bool) -> TemplateContainer<'_> {
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
    /// An annotation of the template, of those that are read.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key)
    }

    /// When we rolled it out, by its own account.
    pub(super) fn last_rollout(&self, restarted_at: &str) -> Option<Timestamp> {
        let annotations = self.metadata.annotations.as_ref()?;
        annotations.last_rollout(restarted_at)
    }

    /// Whether its owner wants its pods without pins, by the annotation [`PIN`](annotations::PIN).
    pub(crate) fn is_unpinned(&self) -> bool {
        let read = self.metadata.annotations.as_ref();
        read.is_some_and(|read| read.unpinned)
    }

    /// The image of a container of either list.
    pub(crate) fn image(&self, container: &str) -> Option<&str> {
        self.all()
            .find(|candidate| *candidate.name == *container)
            .map(|found| &*found.image)
    }

    /// The names of all containers, in the order of the template.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(|container| &*container.name)
    }

    /// Every container with its role, in the order of the template.
    pub(crate) fn containers(&self) -> impl Iterator<Item = TemplateContainer<'_>> {
        let (regular, init) = (
            self.spec.containers.iter(),
            self.spec.init_containers.iter(),
        );
        let regular = regular.map(|container| container.described(false));
        regular.chain(init.map(|container| container.described(true)))
    }

    fn all(&self) -> impl Iterator<Item = &Container> {
        self.spec
            .containers
            .iter()
            .chain(&self.spec.init_containers)
    }
}
