//! The faults of a run.

use std::time::Duration;

use crate::fault_proxy::Mode;

/// When the controller rolls a digest out again whose rollout is over and whose pods run another image
/// (`rollouts.retryAfter`). The last wait is longer than mirrors are behind, again and again, before they are well for a
/// long time ([`super::draw`]): some attempt comes when they are well.
pub(in crate::chaos) const RETRY_AFTER: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(6),
    Duration::from_secs(30),
];

/// The size of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// How many workloads there are.
    pub workloads: usize,
    /// How many tags they are spread over.
    pub tags: usize,
    /// For how long there are faults.
    pub faults: Duration,
    /// From check to check of the controller.
    pub interval: Duration,
    /// Whether pods are pinned.
    pub pins: bool,
}

impl Scale {
    /// For the tests: with its start and its end, two minutes.
    pub const SHORT: Self = Self {
        workloads: 60,
        tags: 16,
        faults: Duration::from_secs(60),
        interval: Duration::from_secs(2),
        pins: false,
    };

    /// For a night, or at least ten minutes.
    pub const LONG: Self = Self {
        workloads: 300,
        tags: 60,
        faults: Duration::from_secs(600),
        interval: Duration::from_secs(5),
        pins: false,
    };
}

/// The content that is pushed to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) enum Content {
    /// An image that was never there.
    Next,
    /// What the tag named before the present image, under the same digest.
    Back,
    /// That image, in an index of its own.
    Rebuilt,
    /// The present image with another attestation.
    Attested,
}

/// An edit of a workload by its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) enum Edit {
    Select(bool),
    Hold(bool),
    Pause(bool),
    Scale(usize),
}

/// How a replica of the controller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) enum End {
    /// By SIGKILL.
    Killed,
    /// By SIGTERM.
    Stopped,
    /// Not at all: it stands still (SIGSTOP).
    Frozen,
}

/// A fault, or something else that happens in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) enum Fault {
    Push {
        tag: usize,
        content: Content,
    },
    Edit {
        workload: usize,
        edit: Edit,
    },
    DeletePods {
        workload: usize,
    },
    /// The pods of a workload are not ready.
    Unready {
        workload: usize,
        lasts: Duration,
    },
    /// A node is cut off.
    NodeAway {
        node: usize,
        lasts: Duration,
    },
    /// Admission sends new pods of a namespace to another registry, which has the same images.
    Admission {
        namespace: usize,
        lasts: Duration,
    },
    /// The mirror that nodes pull through is behind.
    MirrorLags {
        lasts: Duration,
    },
    ApiServer {
        away: Duration,
        compacted: bool,
    },
    RegistryDown {
        away: Duration,
    },
    Registry {
        way: usize,
        mode: Mode,
        lasts: Duration,
    },
    /// One of the registries responds with 503, and then not at all.
    BrownOut {
        way: usize,
        lasts: Duration,
    },
    /// The token server of one of the registries moves.
    RealmMoves {
        way: usize,
    },
    Controller {
        replica: usize,
        end: End,
        away: Duration,
    },
}

impl Fault {
    /// Its name, without its target and its duration.
    pub(in crate::chaos) fn name(&self) -> String {
        match self {
            Self::Push { content, .. } => format!("push: {content:?}"),
            Self::Edit { edit, .. } => match edit {
                Edit::Scale(_) => "owner: Scale".to_owned(),
                other => format!("owner: {other:?}"),
            },
            Self::DeletePods { .. } => "pod deleted".to_owned(),
            Self::Unready { .. } => "pods not ready".to_owned(),
            Self::NodeAway { .. } => "node away".to_owned(),
            Self::Admission { .. } => "admission sends pods to another registry".to_owned(),
            Self::MirrorLags { .. } => "mirror behind".to_owned(),
            Self::ApiServer { compacted, .. } if *compacted => {
                "API server stopped, etcd compacted, API server started".to_owned()
            }
            Self::ApiServer { .. } => "API server stopped and started".to_owned(),
            Self::RegistryDown { .. } => "registry: down".to_owned(),
            Self::Registry { mode, .. } => format!("registry: {mode:?}"),
            Self::BrownOut { .. } => "registry: brown-out".to_owned(),
            Self::RealmMoves { .. } => "registry: token server moved".to_owned(),
            Self::Controller { end, .. } => format!("replica: {end:?}"),
        }
    }
}

/// A fault and when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::chaos) struct Step {
    pub(in crate::chaos) at: Duration,
    pub(in crate::chaos) fault: Fault,
}
