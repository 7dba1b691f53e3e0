//! The kinds of workloads.

use std::{
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use super::{
    Content, CurrentPods, GROUP, History, Past, Progress, VERSION, Workload, daemon_set::DaemonSet,
    deployment::Deployment, stateful_set::StatefulSet,
};

/// What differs from one kind to the other.
///
/// A new kind implements this in a file of its own and stands in [`Kind::ALL`]; watching, observing, deciding, applying
/// and reporting are shared.
pub(crate) trait Rules: Sync {
    /// The kind's name, as in logs, Events and metrics.
    fn name(&self) -> &'static str;

    /// The plural under which the API server and its roles know the kind.
    fn plural(&self) -> &'static str;

    /// The objects that keep the kind's past templates.
    fn history(&self) -> History;

    /// Whether it takes them to find the current pods: the kind's status does not show which these are.
    fn finds_pods_by_history(&self) -> bool;

    /// Of them the one of the current template, if it is there.
    fn latest<'h>(&self, workload: &Workload, history: &'h [Past]) -> Option<&'h Past>;

    /// Where the rollout of a workload stands.
    fn progress(&self, content: &Content) -> Progress;

    /// Which pods run the current template; nothing while the history does not hold it yet.
    fn current(&self, workload: &Workload, history: &[Past]) -> Option<CurrentPods>;
}

/// A kind of object that rolls its pods out when its template changes.
#[derive(Clone, Copy)]
pub(crate) struct Kind(&'static dyn Rules);

impl Kind {
    /// All kinds that are watched.
    pub(crate) const ALL: [Self; 3] = [
        Self::new(&Deployment),
        Self::new(&StatefulSet),
        Self::new(&DaemonSet),
    ];

    /// What objects call the version of their API.
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
