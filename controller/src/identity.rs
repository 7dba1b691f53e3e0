//! Which workload it is about.

use std::{fmt, sync::Arc};

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource as _;

use crate::workload::{Guarded, Workload};

/// A workload's identity, as logs, metrics and Events name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// Where it lives.
    pub(crate) namespace: Arc<str>,
    /// Unique among its kind in the namespace, at one time.
    pub(crate) name: Arc<str>,
    /// Unique for ever.
    pub(crate) uid: Arc<str>,
}

impl Identity {
    /// The identity of a workload that the API server has sent.
    pub(crate) fn of<W: Workload>(workload: &W) -> Self {
        Self::described(W::KIND, workload.meta())
    }

    /// The same of an object that may not be read as one.
    pub(crate) fn guarded<W: Workload>(object: &Guarded<W>) -> Self {
        Self::described(W::KIND, object.meta())
    }

    fn described(kind: &'static str, metadata: &ObjectMeta) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().into();
        Self {
            kind,
            namespace: text(metadata.namespace.as_deref()),
            name: text(metadata.name.as_deref()),
            uid: text(metadata.uid.as_deref()),
        }
    }

    /// What an Event regards.
    pub(crate) fn reference<W: Workload>(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(W::api_version(&()).into_owned()),
            kind: Some(self.kind.to_owned()),
            name: Some(self.name.to_string()),
            namespace: Some(self.namespace.to_string()),
            uid: Some(self.uid.to_string()),
            ..ObjectReference::default()
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
