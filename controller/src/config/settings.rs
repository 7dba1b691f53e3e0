//! The configuration as the controller uses it.

use std::num::NonZeroU16;

use jiff::tz::TimeZone;
use kube_autorollout_core::{
    annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT},
    platform::Platforms,
    schedule::Schedule,
};

use kube_autorollout_hints::Receiver;
use kube_autorollout_notifications::Sink;

use super::{
    files::CaFile,
    log::{LogFormat, LogLevel},
    registries::RegistryEntry,
    rollouts::Rollouts,
};

/// The configuration in force.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, as users set it"
)]
pub(crate) struct Config {
    /// How often workloads are checked that do not say it themselves.
    pub(crate) schedule: Schedule,
    /// In which cron expressions are read, those of workloads too.
    pub(crate) zone: TimeZone,
    /// Which log lines are written.
    pub(crate) log_level: LogLevel,
    /// How log lines are written.
    pub(crate) log_format: LogFormat,
    /// Where health and metrics are served.
    pub(crate) port: NonZeroU16,
    /// Where workloads are watched.
    pub(crate) namespaces: Namespaces,
    /// What counts of an index; every platform stands for no answer here.
    pub(crate) platforms: Platforms,
    /// What keeps rollouts from becoming a storm.
    pub(crate) rollouts: Rollouts,
    /// Whether rollouts pin what new pods run.
    pub(crate) pinning: bool,
    /// Whether only one of several replicas acts.
    pub(crate) leader_election: bool,
    /// How to talk to registries; the first that matches counts.
    pub(crate) registries: Vec<RegistryEntry>,
    /// Trusted for every registry besides the public roots.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// Where hints are taken, and from whom.
    pub(crate) hints: Hints,
    /// Where messages are sent.
    pub(crate) notifications: Notifications,
    /// Whether a rollout is marked as `kubectl rollout restart` does it.
    pub(crate) kubectl_annotation: bool,
    /// Whether manifests of an Artifactory are also requested at its native address.
    pub(crate) artifactory_fallback: bool,
}

impl Config {
    /// The annotation of the pod template that holds the instant of a rollout.
    pub(crate) const fn restarted_at(&self) -> &'static str {
        if self.kubectl_annotation {
            KUBECTL_RESTARTED_AT
        } else {
            RESTARTED_AT
        }
    }
}

/// Where hints are taken, and from whom.
#[derive(Debug, Clone)]
pub(crate) struct Hints {
    /// Where a listener is, if there are receivers.
    pub(crate) port: NonZeroU16,
    /// Each has a name of its own.
    pub(crate) receivers: Vec<Receiver>,
}

/// Where messages are sent.
#[derive(Debug, Clone)]
pub(crate) struct Notifications {
    /// How messages call this cluster; may be empty.
    pub(crate) cluster: String,
    /// Each has a name of its own.
    pub(crate) sinks: Vec<Sink>,
}

/// Where workloads are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// In the controller's own namespace.
    Own,
    /// In these, of which there is at least one.
    Listed(Vec<String>),
    /// In the whole cluster.
    All,
}
