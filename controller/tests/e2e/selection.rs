//! Workloads come and go by their label.

use kube_autorollout_testbed::workload;
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn a_label_starts_checks_and_its_removal_ends_them() {
    let world = World::new("label").await;
    world.push(&world.version(1), "app").await;
    let image = world.image("app");
    world
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    world.rolled_out("web").await;
    // The next tick is far away, so what is checked at once is checked because of the label.
    let controller = world.controller("interval: 1h").await;
    assert_eq!(controller.metrics().await.states(), [].into());

    let label = |value: Option<&str>| json!({ "metadata": { "labels": { "kube-autorollout/enabled": value } } });
    for _ in 0..2 {
        world.patch("web", label(Some("true"))).await;
        controller.until_all("UpToDate", 1).await;
        world.patch("web", label(None)).await;
        let metrics = controller
            .until("no workloads", |metrics| metrics.states().is_empty())
            .await;
        assert_eq!(
            metrics.value("workload_outdated", &[("name", "web")]),
            None,
            "its series goes with it"
        );
    }
    world.patch("web", label(Some("false"))).await;
    world.push(&world.version(2), "app").await;
    world.patch("web", label(Some("true"))).await;
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_workload_without_its_label_is_not_asked_for_at_the_registry() {
    let world = World::new("unlabelled").await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.checks("web", 1).await;
    let label = json!({ "metadata": { "labels": { "kube-autorollout/enabled": null } } });
    world.patch("web", label).await;
    controller
        .until("no workloads", |metrics| metrics.states().is_empty())
        .await;
    let heads = controller
        .metrics()
        .await
        .sum("registry_requests_total", &[]);
    // Another workload shows that ticks go by.
    world.push(&world.version(2), "other").await;
    world.deploy("other", "other").await;
    controller.checks("other", 3).await;
    let path = format!("/v2/{}/manifests/app", world.namespace.name());
    let asked = world.testbed.registry().log().of_controllers(&path);
    let asked = asked.expect("the access log");
    let ours = asked.iter().filter(|request| request.path == path);
    #[expect(clippy::cast_precision_loss, reason = "a few requests")]
    let ours = ours.count() as f64;
    assert!(
        (ours - heads).abs() < f64::EPSILON,
        "{ours} asked, {heads} before"
    );
}
