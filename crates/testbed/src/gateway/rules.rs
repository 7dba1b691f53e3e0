//! The rules of a gateway.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use http::StatusCode;
use serde_json::Value;

/// How the response to a patch is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// A load balancer responds with this status instead.
    Status(StatusCode),
    /// The same, and the patch does not reach the API server.
    Withheld(StatusCode),
    /// The connection is closed without a response.
    Broken,
    /// A load balancer repeats the patch and forwards the second response.
    Repeated,
}

/// What is withheld or changed.
#[derive(Default)]
pub(super) struct Rules {
    /// Plurals of kinds that this API server does not have.
    pub(super) lacking: HashSet<String>,
    /// How the responses to the next patches are lost, in order.
    pub(super) losses: VecDeque<Loss>,
    /// By plural: how long responses are delayed.
    pub(super) delays: HashMap<String, Duration>,
    /// `Retry-After` while the API server is away, in seconds.
    pub(super) retry_after: Option<u32>,
    /// Everything is forbidden.
    pub(super) forbidding: bool,
    /// By plural and name of an object: a JSON pointer and the value there.
    pub(super) changes: HashMap<(String, String), (String, Value)>,
}
