//! What a decision about a workload rests on.

use jiff::Timestamp;

use crate::{
    Digest,
    compare::Verdict,
    pins::Pins,
    record::{Attempts, Record},
    state::Reason,
};

/// What was observed of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the workload, and any mixture of them occurs"
)]
pub struct Observed {
    /// It is paused by `spec.paused`.
    pub paused: bool,
    /// Its controller has seen the current generation of its spec.
    pub generation_observed: bool,
    /// It asks for at least one pod.
    pub wants_pods: bool,
    /// Pods of an older template are left that are not being deleted.
    pub replacing: bool,
    /// Its rollout is complete by the rule of `kubectl rollout status`: every pod is of its template and available.
    pub complete: bool,
    /// The last rollout was ours, and its pods have not all been ready yet.
    pub unfinished: bool,
    /// Its rollout has made no progress for its progress deadline.
    pub deadline_exceeded: bool,
    /// Its pods are replaced by hand only.
    pub on_delete: bool,
    /// What was rolled out before, by its pod template.
    pub record: Record,
    /// How often that was repeated, by its pod template.
    pub attempts: Attempts,
    /// When that was, by its pod template.
    pub last_rollout: Option<Timestamp>,
    /// What its pods are pinned to, by its pod template.
    pub pins: Pins,
    /// The containers of its template that are checked, or would be if they were not [`Exempt`].
    pub containers: Vec<Container>,
    /// The names of all containers of its template.
    pub template_containers: Vec<String>,
}

/// What was observed of a container of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image that its template names.
    pub image: String,
    /// Why it is not checked at all.
    pub exempt: Option<Exempt>,
    /// The digest behind the tag that its newest pod names, or why that is not known: `NotStarted` where there is no pod.
    pub tag: Result<Digest, Reason>,
    /// Somebody went back from a rollout of that digest: the history of the workload has one that is later than its template.
    pub rolled_back: bool,
    /// Admission gave its newest pod quite another image than its template's, such as that of a mesh for `auto`: there is no
    /// digest of the template's image.
    pub filled_in: bool,
    /// Whether its pods are pinned to what its template pins it to; nothing where they need not be.
    pub pinned: Option<bool>,
    /// Since when the tag names that digest, or, if it is not known now, the one it was last known to name.
    pub since: Option<Timestamp>,
    /// The last digest that this process itself rolled it out to.
    pub remembered: Option<Remembered>,
    /// The container in each pod of the current template.
    pub pods: Vec<Running>,
}

/// Why a container is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exempt {
    /// Its image is named by digest.
    Pinned,
    /// Its owner left it out.
    Excluded,
}

/// A rollout that this process remembers, for workloads whose owner's tools strip our annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// What was rolled out.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
}

/// A container in one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// How what it runs compares with the tag.
    pub verdict: Verdict,
    /// The digest of its image ID.
    pub digest: Option<Digest>,
    /// Whether its pod names the image that the container's `tag` is of, as new pods will. Admission may have given another
    /// one to pods that were created earlier.
    pub names_tag: bool,
    /// Whether the pod is ready.
    pub ready: bool,
    /// Whether a new pod pulls what was rolled out: its image pull policy is `Always`, or it is pinned.
    pub pulls_always: bool,
    /// Why it waits, if it is stuck.
    pub waiting: Option<Waiting>,
}

/// Why a container is stuck: the waiting reasons that only another image can be expected to fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// Its node cannot make sense of the image name.
    InvalidImageName,
    /// Its image could not be pulled.
    ErrImagePull,
    /// Its image could not be pulled, and is pulled again later.
    ImagePullBackOff,
    /// It ended again and again.
    CrashLoopBackOff,
}

impl Observed {
    /// Whether pods are being replaced, or are about to be.
    pub fn is_in_flight(&self) -> bool {
        !self.generation_observed || self.replacing
    }
}

impl Waiting {
    /// Reads the `reason` of a waiting container. Others, such as `ContainerCreating`, pass by themselves.
    pub fn parse(reason: &str) -> Option<Self> {
        let all = [
            Self::InvalidImageName,
            Self::ErrImagePull,
            Self::ImagePullBackOff,
            Self::CrashLoopBackOff,
        ];
        all.into_iter()
            .find(|waiting| waiting.reason().as_str() == reason)
    }

    /// The same word as a [`Reason`].
    pub const fn reason(self) -> Reason {
        match self {
            Self::InvalidImageName => Reason::InvalidImageName,
            Self::ErrImagePull => Reason::ErrImagePull,
            Self::ImagePullBackOff => Reason::ImagePullBackOff,
            Self::CrashLoopBackOff => Reason::CrashLoopBackOff,
        }
    }
}

impl Exempt {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Pinned => Reason::Pinned,
            Self::Excluded => Reason::Excluded,
        }
    }
}
