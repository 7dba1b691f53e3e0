//! A container of a pod on its node, and why it could not be started.

use std::io;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Client;

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
    /// The pod asks for what is not there, or what these nodes do not do.
    #[error("{0}")]
    Unfit(String),
    /// A file could not be made, or the program not be started.
    #[error("prepare the container")]
    Files(#[from] io::Error),
}

/// What of a pod is known only to its node.
pub(in crate::node) struct Place<'a> {
    pub(in crate::node) client: &'a Client,
    pub(in crate::node) pod: &'a Pod,
    pub(in crate::node) container: &'a Container,
    pub(in crate::node) pod_ip: &'a str,
    pub(in crate::node) host_ip: &'a str,
}

impl Place<'_> {
    pub(super) fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }
}

/// The same for as long as a process runs.
pub(super) struct Kept {
    client: Client,
    pod: Box<Pod>,
    container: Box<Container>,
    pod_ip: String,
    host_ip: String,
}

impl Kept {
    pub(super) fn new(place: &Place<'_>) -> Self {
        Self {
            client: place.client.clone(),
            pod: Box::new(place.pod.clone()),
            container: Box::new(place.container.clone()),
            pod_ip: place.pod_ip.to_owned(),
            host_ip: place.host_ip.to_owned(),
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        Place {
            client: &self.client,
            pod: &self.pod,
            container: &self.container,
            pod_ip: &self.pod_ip,
            host_ip: &self.host_ip,
        }
    }
}
