//! The API server's own limit, with which patches that were decided upon are compared.

use serde_json::json;

use super::{cluster::Cluster, figures::Bare, others::Others, timeline::Timeline};

use kube_autorollout_testbed::program::Failure;

/// How often it is measured before a program and after it, as it varies.
pub(crate) const TIMES: usize = 2;

/// The annotation by which these patches are recognized in the audit log.
const MARK: &str = "kube-autorollout-bench";

/// Patches every template over sixteen connections, with nothing decided, while the controllers and nodes replace the
/// pods as they do after any patch; all pods run before, and again after.
pub(crate) async fn patch_all(cluster: &Cluster<'_>, when: String) -> Result<Bare, Failure> {
    let (many, namespace) = (&cluster.many, &cluster.namespace);
    many.up(namespace, many.workloads).await?;
    let others = Others::now(cluster.testbed);
    let audit = cluster.testbed.control_plane().audit();
    let mark = audit.mark()?;
    let annotations = json!({MARK: format!("{mark:?}")});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
    many.patch(namespace, many.workloads, &patch).await?;
    let others = Others::now(cluster.testbed).since(&others);
    let requests = audit.requests_since(mark, |request| {
        let body = request.body.as_ref().map(ToString::to_string);
        request.namespace == namespace.name() && body.is_some_and(|body| body.contains(MARK))
    })?;
    let first = requests.iter().map(|request| request.at).min();
    let timeline = first.and_then(|first| Timeline::new(first, &requests));
    many.up(namespace, many.workloads).await?;
    Ok(Bare {
        when,
        timeline: timeline.ok_or("no bare patch is in the audit log")?,
        others,
    })
}
