//! Builds the row of a workload from the stores.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{ContainerKind, Settings},
    image_id::ImageId,
    reference,
};
use kube_autorollout_overview::{Container, Image, Row};

use super::survey::status;
use crate::{
    controller::Context,
    observe::pods::{self, Pods},
    rollout::condition::Condition,
    workload::{Workload, identity::Identity},
};

/// The facts of one workload, which its row borrows from.
pub(super) struct RowSource {
    identity: Identity,
    condition: Option<Condition>,
    /// `None` if this version cannot read it.
    workload: Option<Workload>,
    pods: Option<Arc<Pods>>,
    last_rollout: Option<Timestamp>,
    /// The names of the containers that are checked.
    containers: Vec<String>,
}

impl RowSource {
    /// Collects the facts; `None` if the workload is no longer selected.
    pub(super) fn new(identity: &Identity, context: &Context) -> Option<Self> {
        let (identity, condition) = context.rollouts.states.condition(&identity.uid)?;
        let workload = context.stores.get(&identity);
        let facts = workload.as_ref().map(|workload| {
            let last_rollout = workload.last_rollout(context.rollouts.restarted_at);
            (last_rollout, checked(workload, context))
        });
        let (last_rollout, containers) = facts.unwrap_or_default();
        Some(Self {
            pods: context.sources.pods.cache.last(&identity),
            identity,
            condition,
            workload,
            last_rollout,
            containers,
        })
    }

    /// The row of the workload.
    pub(super) fn row(&self, context: &Context, now: Timestamp) -> Row<'_> {
        let (state, needs_person) = status(self.condition.as_ref(), now);
        let identity = &self.identity;
        let condition = self.condition.as_ref();
        Row {
            reason: condition.and_then(|condition| condition.reason),
            container: condition
                .and_then(|condition| self.container_name(condition.container?))
                .map(Cow::Borrowed),
            needs_person,
            since: condition.map(Condition::since),
            last_check: condition.map(|condition| condition.at),
            next_check: condition.and_then(Condition::next),
            last_rollout: self.last_rollout,
            next_attempt: condition.and_then(Condition::attempt),
            pinned: self.pinned().filter(|_| context.pinning),
            containers: self
                .containers
                .iter()
                .map(|name| self.container(name, context))
                .collect(),
            ..Row::new(&*identity.namespace, identity.kind, &*identity.name, state)
        }
    }

    /// Whether all pods are pinned; `None` without a pod, or if none should be pinned.
    fn pinned(&self) -> Option<bool> {
        let template = self.workload.as_ref()?.template();
        if template.is_unpinned() {
            return None;
        }
        let names_digest = |name: &str| {
            template
                .image(name)
                .is_some_and(|image| image.contains('@'))
        };
        let pods = self.pods.iter().flat_map(|pods| &pods.current);
        let containers = pods.flat_map(|pod| &pod.containers);
        let is_checked = |container: &&pods::Container| {
            let mut checked = self.containers.iter();
            checked.any(|name| **name == *container.spec.name)
                && !names_digest(&container.spec.name)
        };
        let mut checked = containers.filter(is_checked).peekable();
        checked.peek()?;
        Some(checked.all(|container| container.spec.pinned))
    }

    /// The name of the container at an index of the template.
    fn container_name(&self, index: u8) -> Option<&str> {
        let workload = self.workload.as_ref()?;
        workload.template().names().nth(index.into())
    }

    /// A container of the template, with the images of its pods.
    fn container<'a>(&'a self, name: &'a str, context: &Context) -> Container<'a> {
        let pods = self.pods.iter().flat_map(|pods| &pods.current);
        let in_pods = pods
            .flat_map(|pod| &pod.containers)
            .filter(|container| *container.spec.name == *name);
        let in_pods: Vec<&pods::Container> = in_pods.collect();
        let workload = self.workload.as_ref();
        let of_template = workload.and_then(|workload| workload.template().image(name));
        let image = in_pods.first().map(|newest| newest.spec.followed());
        let image = image.or(of_template).unwrap_or_default();
        let mut container = Container::new(name, image);
        for running in in_pods
            .iter()
            .filter(|container| !container.image_id.is_empty())
        {
            let id = ImageId::parse(&running.image_id);
            let digest = id.digest().map(|digest| Cow::Owned(digest.to_string()));
            container.runs(digest);
        }
        let reference = reference::parse(image).ok();
        let named =
            reference.and_then(|reference| context.sources.tags.named(&self.identity, &reference));
        container.tag = named.map(|digest| Image::of(digest.to_string()));
        let labels = &context.sources.labels;
        for image in container.running.iter_mut().chain(&mut container.tag) {
            let digest = image.digest.as_deref();
            let digest = digest.and_then(|digest| digest.parse().ok());
            if let Some(labels) = digest.and_then(|digest| labels.get(&digest)) {
                *image = std::mem::take(image).labelled(&labels);
            }
        }
        container
    }
}

/// The containers that are checked; all but init containers if an annotation is invalid.
fn checked(workload: &Workload, context: &Context) -> Vec<String> {
    let containers: Vec<_> = workload.template().containers().collect();
    let settings = Settings::parse(workload.annotations(), &containers, &context.zone);
    let is_checked = |name: &str, kind| match &settings {
        Ok(settings) => settings.selected.contains(name),
        Err(_) => kind != ContainerKind::Init,
    };
    let checked = containers
        .into_iter()
        .filter(|container| is_checked(container.name, container.kind));
    checked.map(|container| container.name.to_owned()).collect()
}
