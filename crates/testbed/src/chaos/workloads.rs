//! The workloads of a run, by their numbers.

use std::collections::BTreeMap;

use kube::core::DynamicObject;

use super::history::Name;
use crate::{
    node::Pods,
    workload::{DaemonSet, Deployment, Kind, StatefulSet, dynamic},
};

/// How many namespaces there are.
pub(super) const NAMESPACES: usize = 3;

/// How many replicas of the controller there are.
pub(super) const REPLICAS: usize = 2;

/// The way on which there is every trouble, one after the other, and through a mirror.
pub(super) const NEAR: usize = 0;

/// The way on which there are brown-outs, and tokens.
pub(super) const FAR: usize = 1;

/// How many ways there are to the registry, which the controller takes for as many registries.
pub(super) const WAYS: usize = 2;

/// The hosts that admission replaces by those of the proxies.
pub(super) const REWRITTEN: [&str; WAYS] = ["near.invalid/", "far.invalid/"];

/// The image that admission replaces by that of the first tag.
pub(super) const FILLED_IN: &str = "auto";

/// The nodes on which crowded workloads have to run.
pub(super) const POOL: &str = "crowded";

/// How many nodes that are.
pub(super) const POOL_NODES: u8 = 2;

/// One in this many workloads has a second container.
const TWO_CONTAINERS: usize = 7;

/// One in this many workloads must never be rolled out.
const NEVER: usize = 13;

/// One in this many workloads has each of the conditions.
const CONDITIONS: usize = 11;

/// Tags that share a repository.
const TAGS_OF_A_REPOSITORY: usize = 4;

/// How many pods a workload has at most.
pub(super) const MOST_PODS: usize = 3;

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

/// A condition of a workload for the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// A pod that is never ready (all pods, except for StatefulSets, which would not proceed).
    NeverReady,
    /// More pods than there are CPUs for.
    Crowded,
    /// Admission sends its images to a mirror.
    Rewritten,
    /// A container without an image of its own, which admission fills in.
    FilledIn,
}

/// A workload, as its number makes it.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) number: usize,
    pub(super) kind: Kind,
    pub(super) namespace: usize,
    /// The number of the tag of each container.
    pub(super) tags: BTreeMap<&'static str, usize>,
    pub(super) condition: Option<Condition>,
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
        let condition = match (number % CONDITIONS, kind) {
            _ if never.is_some() => None,
            (1, _) => Some(Condition::FilledIn),
            (3, _) if steady(tags).is_some() => Some(Condition::NeverReady),
            (6, Kind::Deployment) => Some(Condition::Crowded),
            (9, _) => Some(Condition::Rewritten),
            _ => None,
        };
        match condition {
            Some(Condition::FilledIn) => drop(of_containers.insert("proxy", 0)),
            Some(Condition::NeverReady) => {
                of_containers = steady(tags).map(|tag| ("app", tag)).into_iter().collect();
            }
            _ => {}
        }
        Self {
            number,
            kind,
            namespace: (number / 4) % NAMESPACES,
            tags: of_containers,
            condition,
            never,
        }
    }

    /// Whether it may be rolled out.
    pub(super) const fn rolls(&self) -> bool {
        self.never.is_none()
    }

    /// How many pods it has at first.
    pub(super) fn pods(&self, nodes: usize) -> usize {
        match (self.kind, self.condition) {
            (Kind::DaemonSet, _) => nodes,
            (_, Some(Condition::Crowded)) => MOST_PODS,
            _ => 1,
        }
    }

    /// The pods of it that are never ready.
    pub(super) fn never_ready(&self, namespace: &str) -> Option<Pods> {
        let (namespace, workload) = (namespace.to_owned(), self.name());
        (self.condition == Some(Condition::NeverReady)).then(|| match self.kind {
            Kind::StatefulSet => Pods::Named {
                namespace,
                name: format!("{workload}-0"),
            },
            Kind::Deployment | Kind::DaemonSet => Pods::Of {
                namespace,
                workload,
            },
        })
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

    /// The object; `image` gives the reference of a tag at a host, by its digest where that is asked for. `hosts` are
    /// those of the ways to the registry.
    ///
    /// # Errors
    ///
    /// When it is no JSON, which does not happen.
    pub(super) fn object(
        &self,
        hosts: &[String],
        image: impl Fn(usize, bool) -> String,
    ) -> Result<DynamicObject, serde_json::Error> {
        let mut like = Deployment::named(&self.name()).labelled();
        like = like.replicas(i32::try_from(self.pods(1)).unwrap_or(1));
        for (container, tag) in &self.tags {
            let name = image(*tag, self.never == Some(Never::Pinned));
            let way = way_of(*tag);
            let host = match self.condition {
                Some(Condition::Rewritten) => REWRITTEN.get(way).map(|host| (*host).to_owned()),
                _ => hosts.get(way).cloned(),
            };
            like = match *container {
                "proxy" => like.container(container, FILLED_IN),
                _ => like.container(container, &format!("{}{name}", host.unwrap_or_default())),
            };
        }
        if self.never == Some(Never::PullPolicy) {
            like = like.pull_policy("IfNotPresent");
        }
        // A rollout does not wait for missing pods, or the next digest would have to wait for the progress deadline
        let surge = i32::try_from(MOST_PODS).unwrap_or(i32::MAX);
        like = match self.condition {
            Some(Condition::NeverReady) => like.rolling(0, surge),
            Some(Condition::Crowded) => like.rolling(0, surge).requests_cpus(1).on_pool(POOL),
            _ => like,
        };
        let waits = self.condition != Some(Condition::NeverReady);
        match (self.never, self.kind) {
            (Some(Never::OnDelete), Kind::StatefulSet) => {
                dynamic(&StatefulSet::like(like).on_delete().build())
            }
            (Some(Never::OnDelete), Kind::DaemonSet) => {
                dynamic(&DaemonSet::like(like).on_delete().build())
            }
            (_, Kind::StatefulSet) if !waits => {
                dynamic(&StatefulSet::like(like).parallel().build())
            }
            (_, Kind::DaemonSet) if !waits => {
                dynamic(&DaemonSet::like(like).max_unavailable(surge).build())
            }
            (_, kind) => kind.object(like),
        }
    }
}

/// The repository of a tag.
pub(super) fn repository(home: &str, tag: usize) -> String {
    format!("{home}/r{}", tag / TAGS_OF_A_REPOSITORY)
}

/// The way on which a tag's repository is reached.
pub(super) const fn way_of(tag: usize) -> usize {
    (tag / TAGS_OF_A_REPOSITORY) % WAYS
}

/// The tag of workloads that are never ready: a digest that their pods do not run is not rolled out to them again, so there
/// is no mirror that could be behind, and no digest comes back.
pub(super) fn steady(tags: usize) -> Option<usize> {
    (0..tags).rev().find(|tag| way_of(*tag) == FAR)
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

    #[test]
    fn even_a_small_cast_lives_under_every_condition_and_each_way_has_tags() {
        let roles: Vec<Role> = (0..60).map(|number| Role::of(number, 16)).collect();
        let all = |kind, condition| {
            let roles = roles.iter().filter(|role| role.kind == kind);
            roles
                .filter(|role| role.condition == Some(condition))
                .count()
        };
        for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
            assert!(all(kind, Condition::NeverReady) > 0, "{kind:?}");
        }
        for condition in [Condition::Rewritten, Condition::FilledIn] {
            let of_it = roles
                .iter()
                .filter(|role| role.condition == Some(condition));
            assert!(of_it.count() > 2, "{condition:?}");
        }
        assert!(all(Kind::Deployment, Condition::Crowded) > 1);
        for way in 0..WAYS {
            assert!((0..16).any(|tag| way_of(tag) == way));
        }
    }
}
