//! The kinds of workloads.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use super::{
    Content, CurrentPods, GROUP, History, Progress, Revision, VERSION, Workload,
    daemon_set::DaemonSet, deployment::Deployment, stateful_set::StatefulSet,
};

/// The differences between the kinds.
///
/// A new kind implements this in a file of its own and is added to [`Kind::ALL`]; watching, observing, deciding, applying
/// and reporting are shared.
pub(crate) trait Rules: Sync {
    /// The kind's name, as in logs, Events and metrics.
    fn name(&self) -> &'static str;

    /// The kind's plural, as in API paths and RBAC rules.
    fn plural(&self) -> &'static str;

    /// The objects that store the kind's templates.
    fn history(&self) -> History;

    /// Whether they are needed to find the current pods, because the kind's status does not identify them.
    fn finds_pods_by_history(&self) -> bool;

    /// The object of the current template, if it exists: the ControllerRevision with the highest number, as returning to an
    /// earlier template gives its object a new number.
    fn latest<'h>(&self, _: &Workload, history: &'h [Revision]) -> Option<&'h Revision> {
        history.iter().max_by_key(|revision| revision.number)
    }

    /// The progress of a workload's rollout.
    fn progress(&self, content: &Content) -> Progress;

    /// How to recognise the pods of the current template; `None` while the history does not have it yet.
    fn current(&self, workload: &Workload, history: &[Revision]) -> Option<CurrentPods>;
}

/// A kind of object that rolls its pods out when its template changes.
#[derive(Clone, Copy)]
pub(crate) struct Kind(&'static dyn Rules);

impl Kind {
    /// All kinds, each of which is watched.
    pub(crate) const ALL: [Self; 3] = [
        Self::new(&Deployment),
        Self::new(&StatefulSet),
        Self::new(&DaemonSet),
    ];

    /// The `apiVersion` of the kinds.
    pub(crate) fn api_version() -> String {
        format!("{GROUP}/{VERSION}")
    }

    pub(crate) const fn new(rules: &'static dyn Rules) -> Self {
        Self(rules)
    }
}

impl Deref for Kind {
    type Target = dyn Rules;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.name().hash(hasher);
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
