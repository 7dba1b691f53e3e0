//! Who takes part: the workloads of a run, by their numbers.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1 as apps;
use kube::core::{ApiResource, DynamicObject};
use serde::Serialize;

use super::history::Name;
use crate::workload::{DaemonSet, Deployment, StatefulSet};

/// How many namespaces there are.
pub(super) const NAMESPACES: usize = 3;

/// Each so manieth workload has a second container.
const TWO_CONTAINERS: usize = 7;

/// Each so manieth workload is one that must never be rolled out.
const NEVER: usize = 13;

/// Tags that share a repository.
const TAGS_OF_A_REPOSITORY: usize = 4;

/// The kind of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    /// That of the workload with this number: half of them are Deployments.
    pub(super) const fn of(number: usize) -> Self {
        match number % 4 {
            2 => Self::StatefulSet,
            3 => Self::DaemonSet,
            _ => Self::Deployment,
        }
    }

    pub(super) fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<apps::Deployment>(&()),
            Self::StatefulSet => ApiResource::erase::<apps::StatefulSet>(&()),
            Self::DaemonSet => ApiResource::erase::<apps::DaemonSet>(&()),
        }
    }
}

/// Why a workload is never rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Never {
    Pinned,
    PullPolicy,
    OnDelete,
}

/// A workload, as its number makes it.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) number: usize,
    pub(super) kind: Kind,
    pub(super) namespace: usize,
    /// The number of the tag of each container.
    pub(super) tags: BTreeMap<&'static str, usize>,
    never: Option<Never>,
}

impl Role {
    pub(super) fn of(number: usize, tags: usize) -> Self {
        let kind = Kind::of(number);
        let mut of_containers = BTreeMap::from([("app", number % tags)]);
        if number % TWO_CONTAINERS == TWO_CONTAINERS - 1 {
            of_containers.insert("side", (number * 5 + 1) % tags);
        }
        let never = match (number % NEVER, kind) {
            (5, _) => Some(Never::Pinned),
            (8, _) => Some(Never::PullPolicy),
            (11, Kind::StatefulSet | Kind::DaemonSet) => Some(Never::OnDelete),
            _ => None,
        };
        Self {
            number,
            kind,
            namespace: (number / 4) % NAMESPACES,
            tags: of_containers,
            never,
        }
    }

    /// Whether it may be rolled out.
    pub(super) const fn rolls(&self) -> bool {
        self.never.is_none()
    }

    /// The kind is seen at the name, so that no two kinds share one.
    pub(super) fn name(&self) -> String {
        let prefix = match self.kind {
            Kind::Deployment => 'd',
            Kind::StatefulSet => 's',
            Kind::DaemonSet => 'n',
        };
        format!("{prefix}{}", self.number)
    }

    pub(super) fn full_name(&self, namespace: &str) -> Name {
        Name {
            namespace: namespace.to_owned(),
            resource: self.kind.resource().plural,
            name: self.name(),
        }
    }

    /// The object; `image` gives the reference of a tag, by its digest where that is asked for.
    ///
    /// # Errors
    ///
    /// When it is no JSON, which does not happen.
    pub(super) fn object(
        &self,
        image: impl Fn(usize, bool) -> String,
    ) -> Result<DynamicObject, serde_json::Error> {
        let mut like = Deployment::named(&self.name()).replicas(1).labelled();
        for (container, tag) in &self.tags {
            like = like.container(container, &image(*tag, self.never == Some(Never::Pinned)));
        }
        if self.never == Some(Never::PullPolicy) {
            like = like.pull_policy("IfNotPresent");
        }
        let on_delete = self.never == Some(Never::OnDelete);
        match self.kind {
            Kind::Deployment => dynamic(&like.build()),
            Kind::StatefulSet if on_delete => dynamic(&StatefulSet::like(like).on_delete().build()),
            Kind::StatefulSet => dynamic(&StatefulSet::like(like).build()),
            Kind::DaemonSet if on_delete => dynamic(&DaemonSet::like(like).on_delete().build()),
            Kind::DaemonSet => dynamic(&DaemonSet::like(like).build()),
        }
    }
}

/// The repository of a tag.
pub(super) fn repository(home: &str, tag: usize) -> String {
    format!("{home}/r{}", tag / TAGS_OF_A_REPOSITORY)
}

/// The name of the workload to which a pod belongs.
pub(super) fn workload_of(pod: &str) -> &str {
    pod.split('-').next().unwrap_or(pod)
}

fn dynamic(object: &impl Serialize) -> Result<DynamicObject, serde_json::Error> {
    serde_json::from_value(serde_json::to_value(object)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_a_small_cast_has_every_kind_in_every_namespace_and_every_reason_never_to_be_rolled_out()
    {
        let roles: Vec<Role> = (0..60).map(|number| Role::of(number, 12)).collect();
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
            for namespace in 0..NAMESPACES {
                let mut of_both = roles
                    .iter()
                    .filter(|role| role.kind == kind && role.namespace == namespace);
                assert!(of_both.any(Role::rolls), "{kind:?} in {namespace}");
            }
        }
        for never in [Never::Pinned, Never::PullPolicy, Never::OnDelete] {
            assert!(
                roles.iter().any(|role| role.never == Some(never)),
                "{never:?}"
            );
        }
        assert!(
            roles
                .iter()
                .any(|role| role.rolls() && role.tags.len() == 2)
        );
        assert_eq!(workload_of("d12-7c4f-xyz"), "d12");
    }
}
