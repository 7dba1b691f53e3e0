//! Violations of the controller's promises.

use std::fmt;

use jiff::Timestamp;

use crate::chaos::history::Name;

/// A violation, with the workload that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The workload.
    pub name: Name,
    /// When; `None` for its final state.
    pub at: Option<Timestamp>,
    /// The violation.
    pub violation: Violation,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.name)?;
        if let Some(at) = self.at {
            write!(formatter, " at {at}")?;
        }
        write!(formatter, ": {}", self.violation)
    }
}

/// A violation of a promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A patch to a digest that the tag never had.
    #[error("patched to {digest} for {container}, which its tag never named")]
    NeverPushed {
        /// The container.
        container: String,
        /// The digest.
        digest: String,
    },
    /// A patch to digests that were not in a recent response of the registry.
    #[error("patched to a digest that was not in a recent response of the registry")]
    NotAnswered,
    /// A patch although all pods ran what the tag names.
    #[error("patched although every pod ran what its tag names")]
    NoDifference,
    /// A second patch for the same move of a tag, which is not counted as a further attempt.
    #[error("patched again although none of its tags has moved since")]
    Twice,
    /// A digest that was rolled out again although no ready pod of its rollout ran another image.
    #[error("rolled out again although no ready pod of {container} ran another image")]
    NoCause {
        /// The container.
        container: String,
    },
    /// A digest that was rolled out again before the wait was over.
    #[error("rolled out again for {container} before the wait was over")]
    TooSoon {
        /// The container.
        container: String,
    },
    /// A digest that was rolled out more often than allowed.
    #[error("rolled out for {container} for the {attempt}th time")]
    TooOften {
        /// The container.
        container: String,
        /// The number of this attempt.
        attempt: u32,
    },
    /// A patch that writes a wrong number of attempts.
    #[error("patched as attempt {written} for {container} after attempt {before}")]
    Miscounted {
        /// The container.
        container: String,
        /// The number in the patch before; 0 where that was for another digest.
        before: u32,
        /// The number in the patch.
        written: u32,
    },
    /// A patch that the workload's owner had ruled out.
    #[error("patched although its owner had ruled that out")]
    Unwanted,
    /// A patch of a workload that is not part of the run.
    #[error("patched although it is no workload of this run")]
    Stranger,
    /// A pod with a pin that ran another digest, or whatever the tag named.
    #[error("ran {image} in {container} from then on, which was not rolled out to its template")]
    NotPinned {
        /// The container.
        container: String,
        /// Its image, as its pod named it.
        image: String,
    },
    /// A selected workload that in the end does not run what its tag names.
    #[error(
        "does not run what its tag names in the end: {current} of {pods} pods do in {container}, and {others} run another image"
    )]
    Stale {
        /// The container.
        container: String,
        /// How many pods there should be.
        pods: usize,
        /// How many run what the tag names.
        current: usize,
        /// How many run something else.
        others: usize,
    },
    /// A selected workload that in the end lacks pods, or has pods of an older template.
    #[error("has {found} of {pods} pods in the end, {newest} of them of its template")]
    Outdated {
        /// How many pods there should be.
        pods: usize,
        /// How many there are.
        found: usize,
        /// How many of them are of the present template.
        newest: usize,
    },
}
