//! What a gateway withholds or changes.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use http::StatusCode;
use serde_json::Value;

/// How a client is kept from learning what the API server has answered to a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// A load balancer answers with this status instead.
    Status(StatusCode),
    /// The same, and the API server has not got the patch.
    Withheld(StatusCode),
    /// The connection ends without an answer.
    Broken,
    /// A load balancer sends the patch once more, and passes on the answer to that.
    Repeated,
}

/// What is withheld or changed.
#[derive(Default)]
pub(super) struct Rules {
    /// Plurals of kinds that this API server does not have.
    pub(super) lacking: HashSet<String>,
    /// What becomes of the answers to the next patches, one after the other.
    pub(super) losses: VecDeque<Loss>,
    /// By plural: how late lists are passed on.
    pub(super) delays: HashMap<String, Duration>,
    /// What clients are asked to wait while it is away, in seconds.
    pub(super) retry_after: Option<u32>,
    /// Everything is forbidden.
    pub(super) forbidding: bool,
    /// By plural and name: where an object is changed, and to what.
    pub(super) changes: HashMap<(String, String), (String, Value)>,
}
