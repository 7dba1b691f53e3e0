//! A container on its node, and why it could not be started.

use std::io;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{Api, Client, Resource, core::NamespaceResourceScope};

/// Why a container could not be started.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum Error {
    /// Something that the pod names could not be read.
    #[error("read {what}")]
    Read {
        /// Which object.
        what: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// The pod names something that does not exist, or that these nodes do not support.
    #[error("{0}")]
    Unfit(String),
    /// A file could not be made, or the program not be started.
    #[error("prepare the container")]
    Files(#[from] io::Error),
}

impl Error {
    /// An object that could not be read.
    pub(super) fn read(kind: &str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let what = format!("{kind} {name}");
        move |error| Self::Read {
            what,
            source: Box::new(error),
        }
    }
}

/// A container on its node, with the addresses that only the node knows.
pub(in crate::node) struct Place {
    pub(in crate::node) client: Client,
    pub(in crate::node) pod: Box<Pod>,
    pub(in crate::node) container: Box<Container>,
    pub(in crate::node) pod_ip: String,
    pub(in crate::node) host_ip: String,
}

impl Place {
    pub(super) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The API for a kind of object in the pod's namespace.
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace())
    }
}
