//! The order in which containers start, and how pods end.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::api::{DeleteParams, ListParams};
use kube_autorollout_testbed::{
    image::Image,
    node::{Nodes, NodesOptions, Scheduling, Speed},
    workload::{self, eventually},
};

use super::bench::{Bench, SOON};

#[tokio::test]
async fn a_stopping_pod_runs_on_for_its_grace_period_and_no_longer() {
    let bench = Bench::new("grace").await;
    let options = NodesOptions {
        name: "grace".to_owned(),
        count: 1,
        scheduling: Scheduling::Closed,
        speed: Speed {
            stop: Duration::from_secs(3600),
            ..Speed::default()
        },
        ..NodesOptions::default()
    };
    let nodes = Nodes::start(bench.namespace.client(), options).await;
    let nodes = nodes.expect("a node");
    bench.push(&Image::new("grace"), "stable").await;
    let web = workload::Deployment::named("web").on_node("grace-1");
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    let deployments = bench.namespace.api::<Deployment>();
    let deleted = deployments.delete("web", &DeleteParams::background()).await;
    deleted.expect("deleted");
    let pods = bench.namespace.api::<Pod>();
    let stopping = eventually(SOON, "a stopping pod", async || {
        let pods = pods.list(&ListParams::default()).await.expect("listed");
        let stopping = pods
            .items
            .into_iter()
            .find(|pod| pod.metadata.deletion_timestamp.is_some());
        stopping
            .and_then(|pod| pod.metadata.name)
            .ok_or_else(|| "none".to_owned())
    });
    let stopping = stopping.await.expect("a stopping pod");
    assert_eq!(nodes.running(bench.namespace.name()).len(), 1);
    let parameters = DeleteParams {
        grace_period_seconds: Some(1),
        ..DeleteParams::default()
    };
    pods.delete(&stopping, &parameters).await.expect("deleted");
    let gone = eventually(SOON, "the end of the pod", async || {
        let pod = pods.get_opt(&stopping).await.expect("an answer");
        pod.map_or(Ok(()), |pod| Err(format!("{:?}", pod.metadata)))
    });
    gone.await.expect("the end of the pod");
    assert_eq!(nodes.running(bench.namespace.name()), []);
}

#[tokio::test]
async fn a_slow_download_is_shown_and_does_not_stop_what_runs() {
    let bench = Bench::new("slow").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.rolled_out("web").await;
    let slow = Image::new("v2").download(Duration::from_secs(3600));
    bench.push(&slow, "stable").await;
    bench.restart_without_wait("web", "first").await;
    bench.wait_for_reason("web", "ContainerCreating").await;
    assert_eq!(bench.markers(), ["v1"]);
    bench.push(&Image::new("v3"), "stable").await;
    bench.restart("web", "second").await;
    let only_new = eventually(SOON, "the old pods gone", async || {
        let markers = bench.markers();
        if markers == ["v3"] {
            Ok(())
        } else {
            Err(format!("{markers:?}"))
        }
    });
    only_new.await.expect("the new image alone");
}

#[tokio::test]
async fn sidecars_run_and_init_containers_end_before_the_others_start() {
    let bench = Bench::new("order").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    let web = workload::Deployment::named("web")
        .init_container("migrate", &image)
        .sidecar("proxy", &image)
        .container("app", &image)
        .container("log", &image);
    bench.create(web).await;
    bench.rolled_out("web").await;
    let names: Vec<_> = bench
        .running()
        .into_iter()
        .map(|found| found.container)
        .collect();
    assert_eq!(names, ["app", "log", "proxy"]);
    let pods = bench.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("listed");
    let status = pods.items[0].status.as_ref().expect("a status");
    let init: Vec<_> = status.init_container_statuses.iter().flatten().collect();
    let state = |status: &ContainerStatus| -> ContainerState { status.state.clone().expect("one") };
    assert!(
        state(init[0])
            .terminated
            .is_some_and(|end| end.exit_code == 0)
    );
    assert!(state(init[1]).running.is_some());
}

#[tokio::test]
async fn a_deleted_pod_is_replaced_and_a_deleted_deployment_leaves_nothing() {
    let bench = Bench::new("deletion").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.rolled_out("web").await;
    let pods = bench.namespace.api::<Pod>();
    for grace in [None, Some(0)] {
        let before = bench.running()[0].pod.clone();
        let parameters = DeleteParams {
            grace_period_seconds: grace,
            ..DeleteParams::default()
        };
        pods.delete(&before, &parameters).await.expect("deleted");
        let replaced = eventually(SOON, "another pod", async || match &*bench.running() {
            [other] if other.pod != before => Ok(()),
            other => Err(format!("{other:?}")),
        });
        replaced.await.expect("another pod");
    }
    let deployments = bench.namespace.api::<Deployment>();
    let deleted = deployments.delete("web", &DeleteParams::background()).await;
    deleted.expect("deleted");
    let empty = eventually(SOON, "no pod", async || {
        let pods = pods.list(&ListParams::default()).await.expect("listed");
        let left = (pods.items.len(), bench.running().len());
        if left == (0, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    empty.await.expect("no pod");
}

#[tokio::test]
async fn the_duration_of_pulls_counts_for_images_that_the_node_lacks() {
    let bench = Bench::new("duration").await;
    let options = NodesOptions {
        name: "duration".to_owned(),
        count: 1,
        scheduling: Scheduling::Closed,
        ..NodesOptions::default()
    };
    let nodes = Nodes::start(bench.namespace.client(), options).await;
    let nodes = nodes.expect("a node");
    bench.push(&Image::new("duration-1"), "stable").await;
    let web = workload::Deployment::named("web").on_node("duration-1");
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    nodes.set_pull_duration(Duration::from_secs(3600));
    bench.restart("web", "the same image").await;
    bench.push(&Image::new("duration-2"), "stable").await;
    bench.restart_without_wait("web", "a new image").await;
    bench.wait_for_reason("web", "ContainerCreating").await;
    let running = nodes.running(bench.namespace.name());
    assert!(
        running
            .iter()
            .all(|container| container.marker == "duration-1"),
        "{running:?}"
    );
}
