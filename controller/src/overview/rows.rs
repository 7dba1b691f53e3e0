//! One workload's row, from what is known of it.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use kube_autorollout_core::{
    annotations::{ContainerKind, Settings},
    image_id::ImageId,
    reference,
};
use kube_autorollout_overview::{Container, Image, Row};

use super::survey::stands;
use crate::{
    controller::Context,
    observe::pods::{self, Pods},
    rollout::standing::Standing,
    workload::{Workload, identity::Identity},
};

/// What is known of one workload.
pub(super) struct Known {
    identity: Identity,
    standing: Option<Standing>,
    /// Nothing where this version cannot read it.
    workload: Option<Workload>,
    pods: Option<Arc<Pods>>,
    last_rollout: Option<Timestamp>,
    /// Of the containers that are checked, and after them the others.
    containers: Vec<String>,
}

impl Known {
    /// Gathers what is known; nothing where the workload is not selected any more.
    pub(super) fn of(identity: &Identity, context: &Context) -> Option<Self> {
        let (identity, standing) = context.rollouts.states.found(&identity.uid)?;
        let workload = context.objects.get(&identity);
        let last_rollout = workload
            .as_ref()
            .and_then(|workload| workload.last_rollout(context.rollouts.restarted_at));
        let containers = workload
            .as_ref()
            .map(|workload| checked(workload, context))
            .unwrap_or_default();
        Some(Self {
            pods: context.sources.pods.cache.last(&identity),
            identity,
            standing,
            workload,
            last_rollout,
            containers,
        })
    }

    /// Its row.
    pub(super) fn row(&self, context: &Context, now: Timestamp) -> Row<'_> {
        let (state, needs_person) = stands(self.standing.as_ref(), now);
        let identity = &self.identity;
        let standing = self.standing.as_ref();
        Row {
            reason: standing.and_then(|standing| standing.reason),
            container: standing
                .and_then(|standing| self.name(standing.container?))
                .map(Cow::Borrowed),
            needs_person,
            since: standing.map(Standing::since),
            last_check: standing.map(|standing| standing.at),
            next_check: standing.and_then(Standing::next),
            last_rollout: self.last_rollout,
            next_attempt: standing.and_then(Standing::attempt),
            pinned: self.pinned().filter(|_| context.pinning),
            containers: self
                .containers
                .iter()
                .map(|name| self.container(name, context))
                .collect(),
            ..Row::new(&*identity.namespace, identity.kind, &*identity.name, state)
        }
    }

    /// Whether all pods name the digests that were rolled out; nothing where there is no pod, or none is to be pinned.
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
        let is_checked = |found: &&pods::Container| {
            let mut checked = self.containers.iter();
            checked.any(|name| **name == *found.spec.name) && !names_digest(&found.spec.name)
        };
        let mut checked = containers.filter(is_checked).peekable();
        checked.peek()?;
        Some(checked.all(|found| found.spec.pinned))
    }

    /// The name of the container at a place of the template.
    fn name(&self, place: u8) -> Option<&str> {
        let workload = self.workload.as_ref()?;
        workload.template().names().nth(place.into())
    }

    /// A container of the template, with what the pods name and run for it.
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
        for found in in_pods.iter().filter(|found| !found.image_id.is_empty()) {
            let id = ImageId::parse(&found.image_id);
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

/// The containers that are checked; all but init containers where annotations cannot be followed.
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
