//! The identity of a workload.

use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{Kind, interner::StringInterner};

/// A workload's identity, as in logs, metrics and Events: one copy, shared by all records of it.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    /// The kind's name.
    pub(crate) kind: &'static str,
    pub(crate) namespace: Arc<str>,
    /// Unique among its kind in the namespace, at one time.
    pub(crate) name: Box<str>,
    pub(crate) uid: Arc<str>,
}

impl Identity {
    /// The identity of an object of the kind.
    pub(crate) fn of(
        kind: Kind,
        metadata: &ObjectMeta,
        uid: &str,
        names: &mut StringInterner,
    ) -> Self {
        Self(Arc::new(Inner {
            kind: kind.name(),
            namespace: names.intern(metadata.namespace.as_deref().unwrap_or_default()),
            name: metadata.name.as_deref().unwrap_or_default().into(),
            uid: uid.into(),
        }))
    }

    /// The object that an Event regards.
    pub(crate) fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(Kind::api_version()),
            kind: Some(self.kind.to_owned()),
            name: Some(self.name.to_string()),
            namespace: Some(self.namespace.to_string()),
            uid: Some(self.uid.to_string()),
            ..ObjectReference::default()
        }
    }

    /// A Deployment whose UID is its name.
    #[cfg(test)]
    pub(crate) fn deployment(namespace: &str, name: &str) -> Self {
        let [deployment, ..] = Kind::ALL;
        Self(Arc::new(Inner {
            kind: deployment.name(),
            namespace: namespace.into(),
            name: name.into(),
            uid: name.into(),
        }))
    }
}

impl Deref for Identity {
    type Target = Inner;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.uid == other.uid
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.uid.hash(hasher);
    }
}

impl Borrow<str> for Identity {
    fn borrow(&self) -> &str {
        &self.uid
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
