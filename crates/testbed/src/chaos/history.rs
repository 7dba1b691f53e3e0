//! The history of a run, from the logs of all participants. All clocks are that of this machine.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, Timestamp};

/// The bounds of the instant of a change: the first request for it, and the response to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Not before this.
    pub begun: Timestamp,
    /// Not after this.
    pub done: Timestamp,
}

/// A workload, as requests to the API server name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Its namespace.
    pub namespace: String,
    /// `deployments`, `statefulsets` or `daemonsets`.
    pub resource: String,
    /// Its name, which no other workload of its namespace has, of whatever kind.
    pub name: String,
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            resource,
            name,
        } = self;
        write!(formatter, "{resource} {namespace}/{name}")
    }
}

/// What the owner of a workload has configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// The label is there.
    pub selected: bool,
    /// The annotation `hold` is there.
    pub held: bool,
    /// Paused by `spec.paused`.
    pub paused: bool,
}

impl Wish {
    /// Selected, and neither held nor paused.
    pub const ROLL_OUT: Self = Self {
        selected: true,
        held: false,
        paused: false,
    };

    /// Whether a rollout is welcome.
    pub const fn allows_rollouts(self) -> bool {
        self.selected && !self.held && !self.paused
    }
}

/// A workload and what its owner did with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name.
    pub name: Name,
    /// The tag of each of its containers.
    pub tags: BTreeMap<String, String>,
    /// Whether it may be rolled out at all: not with an image that is pinned, or not pulled again, or with pods that
    /// are replaced by hand.
    pub rolls: bool,
    /// What its owner had configured at first.
    pub wish: Wish,
    /// What the owner configured later, oldest first.
    pub changes: Vec<(Span, Wish)>,
    /// How many pods it has in the end.
    pub pods: usize,
    /// Whether some of them may be pending in the end, as there are not enough nodes.
    pub crowded: bool,
}

impl Subject {
    /// Whether it has to run in the end what its tags name.
    pub fn has_to_run(&self) -> bool {
        self.rolls && self.last_wish().allows_rollouts()
    }

    /// What its owner has configured in the end.
    pub fn last_wish(&self) -> Wish {
        self.changes.last().map_or(self.wish, |(_, wish)| *wish)
    }
}

/// A tag that was put on other content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The tag: `<repository>:<tag>`.
    pub tag: String,
    /// When.
    pub span: Span,
    /// The digest that it names since.
    pub digest: String,
    /// The config of the image for the nodes' platform, which is what runs.
    pub config: String,
}

/// A digest that the registry gave the controller for a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The tag: `<repository>:<tag>`.
    pub tag: String,
    /// When the request came.
    pub at: Timestamp,
    /// The digest.
    pub digest: String,
}

/// A patch by the controller that the API server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Of which workload.
    pub name: Name,
    /// When the request came.
    pub at: Timestamp,
    /// The record that it wrote: the digest of each container.
    pub record: BTreeMap<String, String>,
    /// How often it has rolled out the digest of each container, by itself; none for once.
    pub attempts: BTreeMap<String, u32>,
    /// The pins that it wrote: the image of each container with its digest; none without pins.
    pub pins: BTreeMap<String, String>,
    /// The instant that it wrote.
    pub restarted_at: Option<Timestamp>,
}

/// A patch without a response: an API server that stops may apply one and neither respond nor log it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The namespace and the name of the workload, with a slash between them.
    pub workload: String,
    /// When the controller logged it.
    pub at: Timestamp,
}

/// A container that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The namespace of its workload.
    pub namespace: String,
    /// The name of its workload.
    pub workload: String,
    /// Its name.
    pub container: String,
    /// Its image, as its pod named it.
    pub image: String,
    /// The pin that its pod had for it from its template.
    pub pin: Option<String>,
    /// The config of its image.
    pub config: String,
    /// Whether it was ready.
    pub ready: bool,
    /// When the first container of its pod ran.
    pub pod_since: Timestamp,
    /// Since when.
    pub from: Timestamp,
    /// Until when, if it has ended.
    pub to: Option<Timestamp>,
}

/// A pod that is there in the end, whether it runs or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The namespace of its workload.
    pub namespace: String,
    /// The name of its workload.
    pub workload: String,
    /// Whether it was made from its workload's present template.
    pub newest: bool,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Every workload.
    pub subjects: Vec<Subject>,
    /// Every move of a tag, oldest first for each tag; the first is the push that made it.
    pub moves: Vec<Move>,
    /// Every response about a tag that came from the registry as it was.
    pub answers: Vec<Answer>,
    /// Every patch, oldest first.
    pub patches: Vec<Patch>,
    /// Every patch that failed in the API server, which may have taken it all the same.
    pub failed: Vec<Patch>,
    /// Every patch without a response.
    pub unanswered: Vec<Unanswered>,
    /// Every container that ran, in pieces: one that is no longer ready is another one.
    pub runs: Vec<Run>,
    /// Every pod in the end.
    pub pods: Vec<Pod>,
    /// After which waits the controller may roll a digest out again.
    pub retry_after: Vec<SignedDuration>,
}
