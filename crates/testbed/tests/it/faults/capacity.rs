//! Pods that fit on no node, and pods that may not be.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::ListParams;
use kube_autorollout_testbed::{
    image::Image,
    node::{Capacity, NodesOptions, Scheduling},
    workload::{self, eventually, wait_until},
};

use crate::nodes::bench::{Bench, SOON};

/// Counts: pods there are, of the current template, available.
async fn until_counts(bench: &Bench, expected: [i32; 3]) -> Deployment {
    let api = bench.namespace.api::<Deployment>();
    let reached = wait_until(&api, "web", SOON, |deployment| {
        let status = deployment.status.clone().unwrap_or_default();
        let counts = [
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
        ];
        counts.map(Option::unwrap_or_default) == expected
    });
    reached.await.expect("the counts of the status")
}

#[tokio::test]
async fn a_pod_that_fits_on_no_node_stays_pending() {
    let bench = Bench::new("capacity").await;
    let options = NodesOptions {
        name: "capacity".to_owned(),
        count: 2,
        scheduling: Scheduling::Pool,
        capacity: Capacity { cpus: 1, pods: 110 },
        ..NodesOptions::default()
    };
    let nodes = bench.testbed.start_nodes(options).await.expect("nodes");
    bench.push(&Image::new("capacity"), "stable").await;
    let web = workload::Deployment::named("web")
        .replicas(3)
        .container("app", &bench.reference("stable"))
        .requests_cpus(1)
        .on_pool("capacity");
    bench.create(web).await;
    until_counts(&bench, [3, 3, 2]).await;
    assert_eq!(nodes.running(bench.namespace.name()).len(), 2);
    assert_eq!(bench.running(), [], "no other nodes are used");
    let pods = bench.namespace.api::<Pod>();
    let unschedulable = eventually(SOON, "an unschedulable pod", async || {
        let pods = pods.list(&ListParams::default()).await.expect("listed");
        let statuses = pods.items.iter().filter_map(|pod| pod.status.as_ref());
        let mut conditions = statuses.flat_map(|status| status.conditions.iter().flatten());
        let unschedulable =
            conditions.any(|condition| condition.reason.as_deref() == Some("Unschedulable"));
        unschedulable.then_some(()).ok_or_else(|| "none".to_owned())
    });
    unschedulable.await.expect("an unschedulable pod");
}

#[tokio::test]
async fn a_pod_that_exceeds_the_quota_is_not_created() {
    let bench = Bench::new("quota").await;
    bench.namespace.limit("pods", 2).await.expect("a quota");
    bench.push(&Image::new("quota"), "stable").await;
    let web = workload::Deployment::named("web").replicas(3);
    bench
        .create(web.container("app", &bench.reference("stable")))
        .await;
    let deployment = until_counts(&bench, [2, 2, 2]).await;
    let status = deployment.status.expect("a status");
    let conditions: Vec<_> = status.conditions.into_iter().flatten().collect();
    let failed = conditions
        .iter()
        .any(|condition| condition.reason.as_deref() == Some("FailedCreate"));
    assert!(failed, "{conditions:?}");
}
