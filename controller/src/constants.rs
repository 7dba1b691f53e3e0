//! Names in Kubernetes objects and requests, which are part of the public interface.

/// Our name: the field manager, the reporter of Events, the user agent.
///
/// It must not begin with `kubectl`: Flux takes over the fields of such managers and removes those that are not in Git
/// (<https://github.com/fluxcd/pkg/blob/main/ssa/patch.go>).
pub(crate) const NAME: &str = "kube-autorollout";

/// The label selector of the workloads that are checked.
pub(crate) const SELECTOR: &str = "kube-autorollout/enabled=true";

/// The prefix of the annotations of workloads and pod templates.
pub(crate) const PREFIX: &str = "kube-autorollout/";

/// The annotation with the revision of a ReplicaSet.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";

/// The user agent of all requests.
pub(crate) const USER_AGENT: &str = concat!("kube-autorollout/", env!("CARGO_PKG_VERSION"));

/// Marks a request that another replica forwarded to the leader, so that it is not forwarded again.
pub(crate) const FORWARDED: &str = "kube-autorollout-handed-on";
