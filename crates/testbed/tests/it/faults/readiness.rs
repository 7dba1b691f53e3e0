//! Pods that run and are not ready.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use kube_autorollout_testbed::{
    image::Image,
    node::Pods,
    workload::{self, wait_until},
};

use crate::nodes::bench::{Bench, SOON};

/// `spec.replicas` pods of the current template, of which so many are available, after a complete rollout.
fn is_settled_with(status: &DeploymentStatus, available: i32) -> bool {
    let conditions = status.conditions.iter().flatten();
    let mut complete = conditions.filter(|condition| {
        condition.status == "True" && condition.reason.as_deref() == Some("NewReplicaSetAvailable")
    });
    status.updated_replicas == Some(3)
        && status.available_replicas.unwrap_or(0) == available
        && complete.next().is_some()
}

async fn until_available(bench: &Bench, available: i32) {
    let deployments = bench.namespace.api::<Deployment>();
    let settled = wait_until(&deployments, "web", SOON, |deployment| {
        let status = deployment.status.as_ref();
        status.is_some_and(|status| is_settled_with(status, available))
    });
    settled.await.expect("so many available pods");
}

async fn with_three_pods(hint: &str) -> Bench {
    let bench = Bench::new(hint).await;
    bench.push(&Image::new(hint), "stable").await;
    let web = workload::Deployment::named("web").replicas(3);
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    until_available(&bench, 3).await;
    bench
}

#[tokio::test]
async fn a_pod_that_turns_unready_leaves_the_rollout_complete_and_the_deployment_short_of_it() {
    let bench = with_three_pods("unready").await;
    let namespace = bench.namespace.name().to_owned();
    let nodes = bench.testbed.nodes();
    let name = bench.running()[0].pod.clone();
    let one = Pods::Named {
        namespace: namespace.clone(),
        name,
    };
    nodes.make_unready(one.clone());
    until_available(&bench, 2).await;
    nodes.make_ready(&one);
    until_available(&bench, 3).await;
    let all = Pods::Of {
        namespace,
        workload: "web".to_owned(),
    };
    let image = Pods::Running {
        marker: "unready".to_owned(),
    };
    for pods in [all, image] {
        nodes.make_unready(pods.clone());
        until_available(&bench, 0).await;
        nodes.make_ready(&pods);
        until_available(&bench, 3).await;
    }
}

#[tokio::test]
async fn a_container_that_crashes_pulls_what_its_tag_names_by_then() {
    let bench = Bench::new("crash").await;
    bench.push(&Image::new("crash-1"), "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.rolled_out("web").await;
    bench.push(&Image::new("crash-2"), "stable").await;
    assert_eq!(bench.markers(), ["crash-1"]);
    let pod = bench.running()[0].pod.clone();
    let nodes = bench.testbed.nodes();
    nodes.crash(bench.namespace.name(), &pod, "app");
    let restarted = bench.observe("web", "another start", |status| {
        (status.restart_count == 1 && status.ready).then_some(())
    });
    restarted.await;
    assert_eq!(bench.markers(), ["crash-2"]);
    assert_eq!(bench.running()[0].pod, pod, "in the same pod");
}
