//! A violation of a promise.

use jiff::Timestamp;

use crate::chaos::history::Name;

/// A violation of a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A patch to a digest that the tag never had.
    #[error("{name} was patched at {at} to {digest} for {container}, which its tag never named")]
    NeverPushed {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
        /// The digest.
        digest: String,
    },
    /// A patch to digests that the registry has not given lately.
    #[error("{name} was patched at {at} to what the registry had not answered lately")]
    NotAnswered {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A patch although all pods ran what the tag names.
    #[error("{name} was patched at {at} although no pod ran anything but what its tag names")]
    NoDifference {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A second patch for the same move of a tag, which is not called a further attempt.
    #[error("{name} was patched at {at} again although no tag of its has moved since")]
    Twice {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A digest that was rolled out again although no ready pod of its rollout ran another image.
    #[error(
        "{name} was rolled out again at {at} although no ready pod of {container} ran another image"
    )]
    NoCause {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
    },
    /// A digest that was rolled out again before the wait was over.
    #[error(
        "{name} was rolled out again at {at} for {container}, before the wait for that was over"
    )]
    TooSoon {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
    },
    /// A digest that was rolled out more often than it may be.
    #[error("{name} was rolled out again at {at} for {container}, for the {attempt}th time")]
    TooOften {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
        /// How often, with this time.
        attempt: u32,
    },
    /// A patch that writes another number of attempts than there were.
    #[error(
        "{name} was patched at {at} as attempt {written} for {container}, where {before} came before"
    )]
    Miscounted {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
        /// The container.
        container: String,
        /// The number in the patch before; 0 where that was for another digest.
        before: u32,
        /// The number in the patch.
        written: u32,
    },
    /// A patch that the workload's owner had ruled out.
    #[error("{name} was patched at {at} although its owner did not want that")]
    Unwanted {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A patch of something that is none of ours.
    #[error("{name} was patched at {at} and is no workload of this run")]
    Stranger {
        /// The workload.
        name: Name,
        /// When.
        at: Timestamp,
    },
    /// A pod with a pin that ran another digest, or whatever the tag named.
    #[error(
        "{name} ran {image} in {container} since {at}, which was not rolled out to its template"
    )]
    NotPinned {
        /// The workload.
        name: Name,
        /// When the container began to run.
        at: Timestamp,
        /// The container.
        container: String,
        /// Its image, as its pod named it.
        image: String,
    },
    /// A selected workload that in the end does not run what its tag names.
    #[error(
        "{name} does not run what its tag names in the end: {current} of {pods} pods do in {container}, and {others} run another image"
    )]
    Stale {
        /// The workload.
        name: Name,
        /// The container.
        container: String,
        /// How many pods there should be.
        pods: usize,
        /// How many run what the tag names.
        current: usize,
        /// How many run something else.
        others: usize,
    },
    /// A selected workload that in the end has not all its pods, or has pods of an older template.
    #[error(
        "{name} has {found} pods in the end, of which {newest} are of its template, where there should be {pods}"
    )]
    Outdated {
        /// The workload.
        name: Name,
        /// How many pods there should be.
        pods: usize,
        /// How many there are.
        found: usize,
        /// How many of them are of the present template.
        newest: usize,
    },
}

impl Violation {
    /// The workload that it is about.
    pub const fn name(&self) -> &Name {
        match self {
            Self::NeverPushed { name, .. }
            | Self::NotAnswered { name, .. }
            | Self::NoDifference { name, .. }
            | Self::Twice { name, .. }
            | Self::NoCause { name, .. }
            | Self::TooSoon { name, .. }
            | Self::TooOften { name, .. }
            | Self::Miscounted { name, .. }
            | Self::Unwanted { name, .. }
            | Self::Stranger { name, .. }
            | Self::NotPinned { name, .. }
            | Self::Stale { name, .. }
            | Self::Outdated { name, .. } => name,
        }
    }
}
