//! The names under which we appear in Kubernetes objects: a contract with users, so each is written once.

/// Our name: the field manager, the reporter of Events, the user agent.
///
/// It must never begin with `kubectl`: Flux takes the fields of such managers over and removes what is not in Git
/// (<https://github.com/fluxcd/pkg/blob/main/ssa/patch.go>).
pub(crate) const NAME: &str = "kube-autorollout";

/// Selects the workloads that are checked, with the value `true`.
pub(crate) const SELECTOR: &str = "kube-autorollout/enabled=true";

/// The prefix of the annotations that users write on workloads and that we write on pod templates.
pub(crate) const PREFIX: &str = "kube-autorollout/";

/// By which the Deployment controller numbers its ReplicaSets.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";

/// `kube-autorollout/<version>`, as registries and API servers see us.
pub(crate) const USER_AGENT: &str = concat!("kube-autorollout/", env!("CARGO_PKG_VERSION"));

/// The header that says that a replica handed a request on to the leader, so that it is not handed on once more.
pub(crate) const HANDED_ON: &str = "kube-autorollout-handed-on";
