//! Namespaces that come and go, as where each change is tried out in one of its own: nothing of them stays.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use kube_autorollout_testbed::{Namespace, controller, workload};

use crate::{harness::World, metrics::Metrics, scope};

/// Namespaces at a time.
const WAVE: usize = 20;

/// After this many waves, memory usage is stable.
const WARM_UP: usize = 3;

const WAVES: usize = 9;

/// What may come on top afterwards: the allocator's doing. The series of a namespace alone are ten kilobytes, a megabyte in
/// all of these waves.
const BYTES: f64 = 700_000.0;

#[tokio::test]
async fn memory_and_series_are_flat_while_namespaces_come_and_go() {
    // Its own control plane, as it watches all namespaces.
    let world = World::alone("soak").await;
    scope::permit_everywhere(&world, controller::rights(&[])).await;
    world.push(&world.version(1), "app").await;
    world.deploy("stays", "app").await;
    let controller = world
        .controller("watch: { namespaces: ['*'] }\nlogLevel: info")
        .await;
    controller.until_all("UpToDate", 1).await;
    let before = controller.metrics().await.of_namespaces().len();
    let mut warm = None;
    for wave in 0..WAVES {
        let mut namespaces = Vec::new();
        for number in 0..WAVE {
            namespaces.push(preview(&world, &format!("soak-{wave}-{number}")).await);
        }
        let states = [("UpToDate".to_owned(), 2), ("Skipped".to_owned(), WAVE - 1)];
        let there = |metrics: &Metrics| metrics.states() == states.clone().into();
        controller.until("a wave of workloads", there).await;
        for namespace in &namespaces {
            let deployments = namespace.api::<Deployment>();
            let now = DeleteParams::default();
            deployments.delete("web", &now).await.expect("deleted");
        }
        let metrics = controller.until_all("UpToDate", 1).await;
        let series = metrics.of_namespaces();
        assert_eq!(series.len(), before, "wave {wave}: {series:?}");
        if wave + 1 == WARM_UP {
            warm = Some(metrics.resident());
        }
    }
    let resident = controller.metrics().await.resident();
    let grown = resident - warm.expect("it was warmed up");
    assert!(grown < BYTES, "{grown} bytes in {} waves", WAVES - WARM_UP);
}

/// A namespace with a labelled Deployment: the first of a wave has a pod, the others none.
async fn preview(world: &World, hint: &str) -> Namespace {
    let namespace = world.testbed.namespace(hint).await.expect("a namespace");
    let image = world.image("app");
    let web = workload::Deployment::named("web").container("app", &image);
    let replicas = i32::from(hint.ends_with("-0"));
    let web = web.labelled().replicas(replicas);
    let client = namespace.client();
    let created = web.create(&client, namespace.name()).await;
    created.expect("created");
    namespace
}
