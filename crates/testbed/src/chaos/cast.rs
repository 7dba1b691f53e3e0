//! Who takes part: the workloads of a run, by their numbers.

use std::collections::BTreeMap;

use kube::core::DynamicObject;

use super::history::Name;
use crate::workload::{DaemonSet, Deployment, Kind, StatefulSet, dynamic};

/// How many namespaces there are.
pub(super) const NAMESPACES: usize = 3;

/// Each so manieth workload has a second container.
const TWO_CONTAINERS: usize = 7;

/// Each so manieth workload is one that must never be rolled out.
const NEVER: usize = 13;

/// Tags that share a repository.
const TAGS_OF_A_REPOSITORY: usize = 4;

/// The kind of the workload with this number: half of them are Deployments.
pub(super) const fn kind_of(number: usize) -> Kind {
    match number % 4 {
        2 => Kind::StatefulSet,
        3 => Kind::DaemonSet,
        _ => Kind::Deployment,
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
        let kind = kind_of(number);
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
        match (self.never, self.kind) {
            (Some(Never::OnDelete), Kind::StatefulSet) => {
                dynamic(&StatefulSet::like(like).on_delete().build())
            }
            (Some(Never::OnDelete), Kind::DaemonSet) => {
                dynamic(&DaemonSet::like(like).on_delete().build())
            }
            (_, kind) => kind.object(like),
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
