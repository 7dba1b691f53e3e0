//! Which workload it is about.

use std::fmt;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt as _;

use crate::workload::Workload;

/// A workload's identity, as logs, metrics and Events name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// Where it lives.
    pub(crate) namespace: String,
    /// Unique among its kind in the namespace, at one time.
    pub(crate) name: String,
    /// Unique for ever.
    pub(crate) uid: String,
}

impl Identity {
    /// The identity of an object that the API server has sent.
    pub(crate) fn of<W: Workload>(workload: &W) -> Self {
        Self {
            kind: W::KIND,
            namespace: workload.namespace().unwrap_or_default(),
            name: workload.name_any(),
            uid: workload.uid().unwrap_or_default(),
        }
    }

    /// What an Event regards.
    pub(crate) fn reference<W: Workload>(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(W::api_version(&()).into_owned()),
            kind: Some(self.kind.to_owned()),
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
