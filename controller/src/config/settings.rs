//! The configuration as the controller uses it, after validation.

use std::{
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use kube_autorollout_cloud::Cloud;
use kube_autorollout_core::{
    annotations::{KUBECTL_RESTARTED_AT, RESTARTED_AT},
    decide::Policy,
    platform::Platforms,
    schedule::Schedule,
};
use kube_autorollout_hints::Receiver;
use kube_autorollout_notifications::Sink;
use kube_autorollout_registry::{Endpoint, HostPattern};

use super::{
    files::CaFile,
    log::{LogFormat, LogLevel},
    secret::SecretText,
};

/// The configuration in force.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub(crate) struct Config {
    /// The schedule of workloads without one of their own.
    pub(crate) schedule: Schedule,
    /// The time zone of cron expressions, including those of workloads.
    pub(crate) zone: TimeZone,
    /// The levels of the log.
    pub(crate) log_level: LogLevel,
    /// The format of log lines.
    pub(crate) log_format: LogFormat,
    /// The port of health, metrics and status.
    pub(crate) port: NonZeroU16,
    /// The namespaces that are watched.
    pub(crate) namespaces: Namespaces,
    /// The platforms of an index that are compared; all of them if none is configured.
    pub(crate) platforms: Platforms,
    /// The limits of rollouts.
    pub(crate) rollouts: Rollouts,
    /// Whether rollouts pin the digests of new pods.
    pub(crate) pinning: bool,
    /// Whether replicas elect a leader.
    pub(crate) leader_election: bool,
    /// The settings of registries; the first entry that matches a host applies.
    pub(crate) registries: Vec<RegistryEntry>,
    /// Trusted for all registries, in addition to the public roots.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// The listener for hints.
    pub(crate) hints: Hints,
    /// The notifications that are sent.
    pub(crate) notifications: Notifications,
    /// Whether a rollout sets the annotation of `kubectl rollout restart`.
    pub(crate) kubectl_annotation: bool,
    /// Whether manifests of an Artifactory are also requested at its native address.
    pub(crate) artifactory_fallback: bool,
}

impl Config {
    /// The annotation of the pod template with the time of the last rollout.
    pub(crate) const fn restarted_at(&self) -> &'static str {
        if self.kubectl_annotation {
            KUBECTL_RESTARTED_AT
        } else {
            RESTARTED_AT
        }
    }
}

/// The listener for hints.
#[derive(Debug, Clone)]
pub(crate) struct Hints {
    /// The port; it is opened if there are receivers.
    pub(crate) port: NonZeroU16,
    /// Names are unique.
    pub(crate) receivers: Vec<Receiver>,
}

/// The notifications that are sent.
#[derive(Debug, Clone)]
pub(crate) struct Notifications {
    /// The name of this cluster in messages; may be empty.
    pub(crate) cluster: String,
    /// Names are unique.
    pub(crate) sinks: Vec<Sink>,
}

/// The namespaces that are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Namespaces {
    /// The controller's own namespace.
    Own,
    /// These namespaces, at least one.
    Listed(Vec<String>),
    /// The whole cluster.
    All,
}

/// The limits of rollouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rollouts {
    /// The maximum number of our rollouts in flight; `None` for no limit.
    pub(crate) max_concurrent: Option<usize>,
    /// The minimum time between two rollouts of a workload.
    pub(crate) min_interval: Duration,
    /// The time that a tag must keep its digest before the digest is rolled out.
    pub(crate) settle: Duration,
    /// The delays, each since the last rollout, before a digest is rolled out again whose rollout is complete and whose
    /// pods run another image.
    pub(crate) retry_after: Arc<[Duration]>,
}

impl Rollouts {
    /// The policy of a decision, while the budget is not spent and without pins.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            settle: self.settle,
            min_interval: self.min_interval,
            retry_after: Arc::clone(&self.retry_after),
            budget_spent: false,
            pin: false,
        }
    }
}

/// The settings of the registries that a pattern matches.
#[derive(Debug, Clone)]
pub(crate) struct RegistryEntry {
    /// The hosts.
    pub(crate) pattern: HostPattern,
    /// Replaces the hosts in requests.
    pub(crate) endpoint: Option<Endpoint>,
    /// Used if the credentials of the pods do not suffice.
    pub(crate) secret: Secret,
    /// Trusted for these hosts, in addition to all others.
    pub(crate) ca_certificates: Vec<CaFile>,
    /// Whether to use HTTP without TLS.
    pub(crate) plain_http: bool,
    /// The maximum number of requests in flight to one host; `None` for the default of the client.
    pub(crate) max_concurrent_requests: Option<NonZeroUsize>,
}

/// A credential of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the words of the configuration")]
pub(crate) enum Secret {
    /// Anonymous.
    None,
    /// A mounted Secret of type `kubernetes.io/dockerconfigjson`.
    ImagePullSecret {
        /// The directory that contains `.dockerconfigjson`.
        mount_path: PathBuf,
    },
    /// A token: the password of `username`, or else a Bearer token.
    Opaque {
        /// The user of the token.
        username: Option<String>,
        /// The token.
        token: TokenSource,
    },
    /// A credential that a cloud issues to the controller's own identity.
    CloudIdentity {
        /// The cloud; that of the host if none.
        cloud: Option<Cloud>,
        /// The AWS region, if the host does not contain it.
        region: Option<String>,
        /// An AWS role to assume.
        role_arn: Option<String>,
    },
}

/// The source of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// The configuration itself.
    Inline(SecretText),
    /// A file, which is read again when it changes; a trailing newline is ignored.
    File(PathBuf),
}
