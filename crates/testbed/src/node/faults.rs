//! Faults of nodes: failing probes, crashing processes, kubelets that are cut off, and mirrors.

use super::{Nodes, NodesError, fleet::Victim, readiness::Pods};
use crate::image::RegistryAccess;

impl Nodes {
    /// From now on these pods are not ready, though their processes run on, until [`Nodes::make_ready`].
    pub fn make_unready(&self, pods: Pods) {
        self.fleet.unready.insert(pods);
    }

    /// Reverts [`Nodes::make_unready`].
    pub fn make_ready(&self, pods: &Pods) {
        self.fleet.unready.remove(pods);
    }

    /// Ends the process of a container with an error, so that the kubelet starts it again: with a pull, where the policy
    /// is `Always`. Does nothing where there is no such container.
    pub fn crash(&self, namespace: &str, pod: &str, container: &str) {
        let victim = Victim {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
        };
        // An error means that no pod is there
        drop(self.fleet.crashes.send(victim));
    }

    /// Cuts the kubelet of a node off: no heartbeat comes, no status, and no deletion of a pod is confirmed, while its
    /// containers run on. The node lifecycle controller makes the rest of it.
    ///
    /// # Errors
    ///
    /// [`NodesError::NoNode`].
    pub fn go_away(&self, node: &str) -> Result<(), NodesError> {
        self.set_away(node, true)
    }

    /// Reverts [`Nodes::go_away`]: heartbeats are sent at once, and pending status updates and deletions follow.
    ///
    /// # Errors
    ///
    /// [`NodesError::NoNode`].
    pub fn come_back(&self, node: &str) -> Result<(), NodesError> {
        self.set_away(node, false)
    }

    fn set_away(&self, node: &str, away: bool) -> Result<(), NodesError> {
        let host = self.fleet.host(node).ok_or_else(|| NodesError::NoNode {
            name: node.to_owned(),
        })?;
        host.set_away(away);
        self.fleet.comings.notify_one();
        Ok(())
    }

    /// From now on the nodes pull images of a registry through a mirror, as a runtime does that has one in its
    /// `hosts.toml`: the images keep the name of the registry. Without a mirror, from the registry itself.
    ///
    /// # Errors
    ///
    /// [`NodesError::Registry`] for a CA certificate that cannot be read.
    pub fn pull_through(
        &self,
        registry: &str,
        mirror: Option<RegistryAccess>,
    ) -> Result<(), NodesError> {
        Ok(self.fleet.set_mirror(registry, mirror)?)
    }
}
