//! What a waiting sender is answered, as the controller writes it and `kube-autorollout hint` reads it.

use serde::{Deserialize, Serialize};

/// The workloads of an image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) image: String,
    /// What its tag names, if the registry says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// None where nothing runs the image.
    pub(crate) workloads: Vec<Row>,
}

/// One workload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) namespace: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// It was patched since the hint came.
    pub(crate) rolled_out: bool,
    /// From the hint to its end, or until the time was out.
    pub(crate) seconds: u64,
}
