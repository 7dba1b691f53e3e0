//! How patient the control plane is with silent nodes.

use std::time::Duration;

/// How long a node may be silent, and then be without its pods' being evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeGrace {
    /// From the last heartbeat until the node lifecycle controller takes the node for dead: `Ready` turns `Unknown`, its
    /// pods are no longer Ready, and it is tainted.
    pub silence: Duration,
    /// From the taint on until pods are evicted: the `tolerationSeconds` that admission gives to each pod. Those of
    /// DaemonSets are never evicted.
    pub eviction: Duration,
}

impl Default for NodeGrace {
    /// Patient enough for a busy machine; evictions as in a cluster.
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(40),
            eviction: Duration::from_secs(300),
        }
    }
}

impl NodeGrace {
    /// For tests that wait for it.
    pub const QUICK: Self = Self {
        silence: Duration::from_secs(6),
        eviction: Duration::from_secs(1),
    };

    /// From one heartbeat of the nodes to the next.
    pub(crate) fn heartbeat(self) -> Duration {
        self.silence / 6
    }

    /// The flags of the API server, whose admission adds tolerations.
    pub(super) fn admission_flags(self) -> [String; 2] {
        ["not-ready", "unreachable"].map(|taint| {
            let seconds = self.eviction.as_secs();
            format!("--default-{taint}-toleration-seconds={seconds}")
        })
    }

    /// The flags of the controller-manager. Nodes are evicted from as soon as that is due, and not one in ten seconds.
    pub(super) fn controller_flags(self) -> [String; 3] {
        [
            format!("--node-monitor-grace-period={}ms", self.silence.as_millis()),
            format!("--node-monitor-period={}ms", (self.silence / 8).as_millis()),
            "--node-eviction-rate=100".to_owned(),
        ]
    }
}
