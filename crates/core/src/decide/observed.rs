//! The observations that a decision about a workload is based on.

use jiff::Timestamp;

use crate::{
    Digest,
    compare::Verdict,
    pins::Pins,
    record::{Attempts, Record},
    state::Reason,
};

/// The observed state of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about the workload, and all combinations occur"
)]
pub struct Observed {
    /// `spec.paused` is set.
    pub paused: bool,
    /// Its controller has seen the current generation of its spec.
    pub generation_observed: bool,
    /// It wants at least one pod.
    pub wants_pods: bool,
    /// Pods of an older template remain that are not being deleted.
    pub replacing: bool,
    /// Its rollout is complete as in `kubectl rollout status`: every pod is of the current template and available.
    pub complete: bool,
    /// The last rollout was ours, and not all of its pods have become ready yet.
    pub unfinished: bool,
    /// Its rollout has exceeded its progress deadline.
    pub deadline_exceeded: bool,
    /// Its update strategy is `OnDelete`.
    pub on_delete: bool,
    /// The earlier rollouts, from its pod template.
    pub record: Record,
    /// How often they were repeated, from its pod template.
    pub attempts: Attempts,
    /// The time of the last one, from its pod template.
    pub last_rollout: Option<Timestamp>,
    /// The pins of its pods, from its pod template.
    pub pins: Pins,
    /// The containers of its template that are checked, or would be without an [`Exemption`].
    pub containers: Vec<Container>,
    /// The names of all containers of its template.
    pub template_containers: Vec<String>,
}

/// The observed state of a container of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image in the template.
    pub image: String,
    /// Why it is not checked at all.
    pub exempt: Option<Exemption>,
    /// The digest behind the tag of its newest pod, or why it is unknown: `NotStarted` if there is no pod.
    pub tag: Result<Digest, Reason>,
    /// A rollout of that digest or, if it is unknown, of any digest was rolled back: the workload's history has a revision that
    /// is newer than its template.
    pub rolled_back: bool,
    /// Admission replaced the image in its newest pod, as a service mesh does with `auto`: the template's image has no digest.
    pub image_replaced: bool,
    /// Whether its pods match the pin of the template; `None` if they need not.
    pub pinned: Option<bool>,
    /// Since when the tag has named that digest or, if it is unknown now, the last known one.
    pub since: Option<Timestamp>,
    /// The last rollout of it by this process.
    pub remembered: Option<RecentRollout>,
    /// The container in each pod of the current template.
    pub pods: Vec<Running>,
}

/// Why a container is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exemption {
    /// Its image has a digest.
    Pinned,
    /// Its owner excluded it.
    Excluded,
}

/// A rollout by this process, kept in memory for workloads whose tools strip our annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentRollout {
    /// The digest that was rolled out.
    pub digest: Digest,
    /// The time of the rollout.
    pub at: Timestamp,
}

/// A container in one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// How the running image compares with the tag.
    pub verdict: Verdict,
    /// The digest of its image ID.
    pub digest: Option<Digest>,
    /// Whether its pod has the image that [`Container::tag`] belongs to, as new pods will. Admission may have set a different
    /// one in pods that were created earlier.
    pub names_tag: bool,
    /// Whether the pod is ready.
    pub ready: bool,
    /// Whether a new pod pulls the image that was rolled out: its pull policy is `Always`, or it is pinned.
    pub pulls_always: bool,
    /// Why it is stuck in waiting, if it is.
    pub waiting: Option<Waiting>,
}

/// Why a container is stuck: the waiting reasons that usually only a new image resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// The kubelet cannot parse its image name.
    InvalidImageName,
    /// Its image could not be pulled.
    ErrImagePull,
    /// Its image could not be pulled, and the kubelet backs off.
    ImagePullBackOff,
    /// It exited repeatedly, and the kubelet backs off.
    CrashLoopBackOff,
}

impl Observed {
    /// A workload whose rollout is complete and recorded nowhere, with these containers in its template.
    pub fn complete(containers: Vec<Container>) -> Self {
        let names = containers.iter().map(|container| container.name.clone());
        Self {
            paused: false,
            generation_observed: true,
            wants_pods: true,
            replacing: false,
            complete: true,
            unfinished: false,
            deadline_exceeded: false,
            on_delete: false,
            record: Record::default(),
            attempts: Attempts::default(),
            last_rollout: None,
            pins: Pins::default(),
            template_containers: names.collect(),
            containers,
        }
    }

    /// Whether a rollout is in flight.
    pub fn is_in_flight(&self) -> bool {
        !self.generation_observed || self.replacing
    }
}

impl Container {
    /// A checked container without pods, of which nothing else is known.
    pub fn new(name: &str, image: &str, tag: Result<Digest, Reason>) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            exempt: None,
            tag,
            rolled_back: false,
            image_replaced: false,
            pinned: None,
            since: None,
            remembered: None,
            pods: Vec::new(),
        }
    }
}

impl Waiting {
    /// Parses the `reason` of a waiting container. Others, such as `ContainerCreating`, are transient.
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

    /// The [`Reason`] of the same name.
    pub const fn reason(self) -> Reason {
        match self {
            Self::InvalidImageName => Reason::InvalidImageName,
            Self::ErrImagePull => Reason::ErrImagePull,
            Self::ImagePullBackOff => Reason::ImagePullBackOff,
            Self::CrashLoopBackOff => Reason::CrashLoopBackOff,
        }
    }
}

impl Exemption {
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Pinned => Reason::Pinned,
            Self::Excluded => Reason::Excluded,
        }
    }
}
