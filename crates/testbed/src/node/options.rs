//! Which nodes there are, how large and how fast.

use std::time::Duration;

use super::{
    back_off::BackOff,
    images::{platform::Platform, runtime::Runtime},
};
use crate::image::RegistryAccess;

/// How long things take on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// The download of an image that the node does not have, on top of the image's own time.
    pub pull: Duration,
    /// From the image's being there to the running process.
    pub start: Duration,
    /// From the running process to ready.
    pub ready: Duration,
    /// From the request to stop to the end of a process; a shorter grace period of the pod wins.
    pub stop: Duration,
    /// The pauses after failed pulls and crashes.
    pub back_off: BackOff,
}

impl Default for Speed {
    /// Everything at once, and [`BackOff::QUICK`].
    fn default() -> Self {
        Self {
            pull: Duration::ZERO,
            start: Duration::ZERO,
            ready: Duration::ZERO,
            stop: Duration::ZERO,
            back_off: BackOff::QUICK,
        }
    }
}

/// The capacity of each node for pods (`allocatable`), as the scheduler counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// CPUs.
    pub cpus: u32,
    /// How many pods fit.
    pub pods: u32,
}

impl Capacity {
    /// More than any test needs.
    pub const AMPLE: Self = Self {
        cpus: 1000,
        pods: 20_000,
    };
}

/// Which pods the scheduler binds to the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduling {
    /// All pods.
    Open,
    /// Those that ask for the pool ([`Deployment::on_pool`](crate::workload::Deployment::on_pool)) that is called like
    /// the nodes: they have a label and a taint `testbed/pool`, as pools of nodes for one purpose have.
    Pool,
    /// None (`unschedulable`): only pods that name the node, and those of DaemonSets.
    Closed,
}

/// The key of the label and the taint of [`Scheduling::Pool`].
pub(crate) const POOL: &str = "testbed/pool";

/// Which nodes to simulate.
#[derive(Debug, Clone)]
pub struct NodesOptions {
    /// The nodes are called this, a hyphen and a number from 1.
    pub name: String,
    /// How many there are.
    pub count: u8,
    /// Their platform.
    pub platform: Platform,
    /// Whose habits they have.
    pub runtime: Runtime,
    /// Which pods the scheduler binds to them.
    pub scheduling: Scheduling,
    /// The capacity of each.
    pub capacity: Capacity,
    /// How fast they are at first.
    pub speed: Speed,
    /// From one renewal of a node's Lease to the next.
    pub heartbeat: Duration,
    /// How registries are reached; those on loopback that are not listed over plain HTTP, others not at all.
    pub registries: Vec<RegistryAccess>,
}

impl Default for NodesOptions {
    /// Two nodes for `linux/amd64` with containerd, as large and as fast as they can be, with the kubelet's heartbeat of
    /// 10 s (<https://kubernetes.io/docs/concepts/architecture/nodes/#node-heartbeats>).
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            count: 2,
            platform: Platform {
                os: "linux".to_owned(),
                architecture: "amd64".to_owned(),
            },
            runtime: Runtime::Containerd,
            scheduling: Scheduling::Open,
            capacity: Capacity::AMPLE,
            speed: Speed::default(),
            heartbeat: Duration::from_secs(10),
            registries: Vec::new(),
        }
    }
}
