//! The context of the lookups for one container.

use jiff::Timestamp;
use kube_autorollout_core::Digest;

use super::{Freshness, Sources};
use crate::lookup::Waiter;

/// The context of the lookups for one container, the same for all its images and pods.
#[derive(Clone, Copy)]
pub(super) struct LookupContext<'a> {
    pub(super) namespace: &'a str,
    /// The digest that the container was last rolled out to.
    pub(super) recorded: Option<&'a Digest>,
    /// When the list of the pods was requested.
    pub(super) listed_at: Timestamp,
    pub(super) freshness: Freshness,
    pub(super) sources: &'a Sources,
    pub(super) waiter: &'a Waiter,
}
