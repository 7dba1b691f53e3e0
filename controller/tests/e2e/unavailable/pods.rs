//! Pods that are not ready, that fit on no node, that a quota forbids.

use k8s_openapi::api::apps::v1 as apps;
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    node::{Capacity, Nodes, NodesOptions, Pods, Scheduling},
    workload::{Deployment, StatefulSet, wait_until},
};
use serde_json::json;

use super::scene::Scene;
use crate::{
    harness::{SOON, World},
    reported::until_reported,
};

/// The workload of all tests, with three replicas of version 1.
async fn like(world: &World) -> Deployment {
    world.push(&world.version(1), "app").await;
    let web = Deployment::named("web").replicas(3).labelled();
    web.container("app", &world.image("app"))
}

/// Waits until the Deployment has this many pods of its template, and this many of them available.
async fn until_pods(world: &World, updated: i32, available: i32) {
    until_counts(world, |counts| counts == [updated, updated, available]).await;
}

/// Waits until the Deployment's numbers of pods, of pods of its template, and of available ones meet a condition.
async fn until_counts(world: &World, condition: impl Fn([i32; 3]) -> bool) {
    world
        .until("web", |deployment| {
            let status = deployment.status.clone().unwrap_or_default();
            let counts = [
                status.replicas,
                status.updated_replicas,
                status.available_replicas,
            ];
            condition(counts.map(Option::unwrap_or_default))
        })
        .await;
}

#[tokio::test]
async fn a_deployment_with_a_pod_that_is_not_ready_is_rolled_out_once_for_each_push() {
    let world = World::new("unready").await;
    let web = like(&world).await;
    world.create(web).await;
    until_pods(&world, 3, 3).await;
    let scene = Scene::begin(world, None).await;
    for version in 2..=4 {
        let pod = scene.running().remove(0).pod;
        scene.nodes().make_unready(Pods::Named {
            namespace: scene.world.namespace.name().to_owned(),
            name: pod,
        });
        until_pods(&scene.world, 3, 2).await;
        scene.rolls_out(version, 3..=3).await;
    }
}

#[tokio::test]
async fn a_stateful_set_with_parallel_pods_of_which_one_is_never_ready_is_rolled_out_once_for_each_push()
 {
    let world = World::new("parallel").await;
    let like = like(&world).await;
    let web = StatefulSet::like(like).parallel().build();
    world.create_object(&web).await;
    world.until_running(&world.marker(1), 3).await;
    world.testbed.nodes().make_unready(Pods::Named {
        namespace: world.namespace.name().to_owned(),
        name: "web-0".to_owned(),
    });
    let sets = world.namespace.api::<apps::StatefulSet>();
    let short = wait_until(&sets, "web", SOON, |set| {
        let status = set.status.as_ref();
        status.is_some_and(|status| status.available_replicas == Some(2))
    });
    short.await.unwrap_or_else(|error| panic!("{error}"));
    let scene = Scene::begin(world, None).await;
    for version in 2..=4 {
        scene.rolls_out(version, 3..=3).await;
    }
}

/// Two nodes with one CPU each, for this test alone.
async fn small(world: &World) -> Nodes {
    let options = NodesOptions {
        name: world.namespace.name().to_owned(),
        scheduling: Scheduling::Pool,
        capacity: Capacity { cpus: 1, pods: 110 },
        ..NodesOptions::default()
    };
    world.testbed.start_nodes(options).await.expect("nodes")
}

#[tokio::test]
async fn a_deployment_with_a_pod_that_no_node_has_room_for_is_rolled_out_once_for_each_push() {
    let world = World::new("no-node").await;
    let nodes = small(&world).await;
    let web = like(&world).await.requests_cpus(1).rolling(0, 2);
    world.create(web.on_pool(world.namespace.name())).await;
    until_pods(&world, 3, 2).await;
    let scene = Scene::begin(world, Some(nodes)).await;
    for version in 2..=4 {
        scene.rolls_out(version, 2..=2).await;
        until_pods(&scene.world, 3, 2).await;
    }
}

#[tokio::test]
async fn a_deployment_that_may_not_have_all_its_pods_is_rolled_out_once_for_each_push() {
    let world = World::new("quota").await;
    let limited = world.namespace.limit("requests.cpu", 2).await;
    limited.expect("a quota");
    let web = like(&world).await.requests_cpus(1).rolling(0, 2);
    world.create(web).await;
    until_pods(&world, 2, 2).await;
    let scene = Scene::begin(world, None).await;
    for version in 2..=4 {
        // The quota controller counts from a cache, so that a third pod may be admitted while others are replaced.
        scene.rolls_out(version, 2..=3).await;
        let all_run =
            |[all, updated, available]: [i32; 3]| all >= 2 && all == updated && all == available;
        until_counts(&scene.world, all_run).await;
    }
}

/// By default no old pod goes before a new one is there, which fits on no node. The next push needs no patch: the
/// new pod pulls it when it starts.
#[tokio::test]
async fn a_rollout_for_which_there_is_no_room_gives_its_place_back_at_its_progress_deadline() {
    let world = World::new("no-progress").await;
    let nodes = small(&world).await;
    let web = like(&world).await.requests_cpus(1).progress_deadline(3);
    world.create(web.on_pool(world.namespace.name())).await;
    until_pods(&world, 3, 2).await;
    let scene = Scene::begin(world, Some(nodes)).await;
    for version in 2..=3 {
        scene.push(version).await;
        scene.until_patches("web", 1).await;
        let (state, reason) = (State::NotConverging, Reason::ProgressDeadlineExceeded);
        until_reported(&scene.world, &scene.controller, "web", state, reason).await;
        let metrics = scene.controller.metrics().await;
        let outdated = metrics.value("workload_outdated", &[("name", "web")]);
        assert_eq!(outdated, Some(1.0));
        scene.serves_beside(version).await;
        assert_eq!(scene.patches_to("web"), 1, "once");
    }
    let one = json!({ "spec": { "replicas": 1 } });
    scene.world.patch("web", one).await;
    scene.until_running(3, 1..=1).await;
    scene.controller.until_all("UpToDate", 2).await;
    assert_eq!(scene.patches_to("web"), 1, "once");
}
