//! What the owner of a workload asks for, in its annotations.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube_autorollout_testbed::{image::Image, workload};
use serde_json::{Value, json};

use crate::harness::World;

/// One annotation of the workload, or its absence.
fn annotated(key: &str, value: Option<&str>) -> Value {
    let key = format!("kube-autorollout/{key}");
    json!({ "metadata": { "annotations": { key: value } } })
}

/// When the object was changed last, by the clock of the API server.
fn changed(deployment: &Deployment) -> Timestamp {
    let times = deployment
        .managed_fields()
        .iter()
        .filter_map(|entry| entry.time.as_ref());
    times.map(|time| time.0).max().expect("a time")
}

#[tokio::test]
async fn a_hold_keeps_a_rollout_back_until_it_is_taken_off() {
    let (world, controller) = World::with_web("held", "").await;
    world.patch("web", annotated("hold", Some("true"))).await;
    world.push(&world.version(2), "app").await;
    let metrics = controller.until_all("Held", 1).await;
    let outdated = metrics.value("workload_outdated", &[("name", "web")]);
    assert_eq!(outdated, Some(1.0));
    controller
        .until_logged(&["INFO", "not rolled out yet: container app: Held"])
        .await;
    controller.checks("web", 3).await;
    assert_eq!(
        world.patches(),
        0,
        "checks go on, and nothing is rolled out"
    );
    world.patch("web", annotated("hold", Some("false"))).await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_hold_with_an_instant_ends_by_itself_and_not_at_the_next_tick() {
    let (world, controller) = World::with_web("held-until", "interval: 1h").await;
    assert_eq!(controller.stop().await, Some(0));
    world.push(&world.version(2), "app").await;
    let now = changed(&world.patch("web", annotated("hold", Some("true"))).await);
    let end = now + SignedDuration::from_secs(20);
    world
        .patch("web", annotated("hold", Some(&end.to_string())))
        .await;
    controller.start().await;
    controller.until_all("Held", 1).await;
    world.until_running(&world.marker(2), 1).await;
    let requests = world.requests();
    let patch = requests.iter().find(|request| request.verb == "patch");
    assert!(patch.expect("a patch").at >= end);
}

#[tokio::test]
async fn only_the_containers_that_are_asked_for_are_checked() {
    let world = World::new("chosen").await;
    let image = |name: &str, version: u32| {
        Image::new(format!("{}-{name}-{version}", world.namespace.name()))
    };
    for name in ["app", "side"] {
        world.push(&image(name, 1), name).await;
    }
    for (name, key, containers) in [
        ("only", "containers", "app"),
        ("without", "exclude-containers", " side ,"),
    ] {
        let both = workload::Deployment::named(name)
            .container("app", &world.image("app"))
            .container("side", &world.image("side"))
            .annotation(&format!("kube-autorollout/{key}"), containers);
        world.create(both.labelled()).await;
        world.rolled_out(name).await;
    }
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 2).await;
    world.push(&image("side", 2), "side").await;
    for name in ["only", "without"] {
        controller.checks(name, 2).await;
    }
    assert_eq!(world.patches(), 0);
    world.push(&image("app", 2), "app").await;
    controller.until_completed(2).await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn a_workload_is_checked_at_its_own_pace() {
    let world = World::new("pace").await;
    world.push(&world.version(1), "app").await;
    let image = world.image("app");
    for (name, key, value) in [
        ("often", "interval", "1s"),
        ("clockwork", "schedule", "* * * * * *"),
        ("seldom", "interval", "24h"),
    ] {
        let web = workload::Deployment::named(name)
            .container("app", &image)
            .annotation(&format!("kube-autorollout/{key}"), value);
        world.create(web.labelled()).await;
        world.rolled_out(name).await;
    }
    let controller = world.controller("interval: 1h").await;
    let before = controller.until_all("UpToDate", 3).await;
    controller.checks("often", 2).await;
    controller.checks("clockwork", 2).await;
    let after = controller.metrics().await;
    assert!(
        (after.last_check("seldom") - before.last_check("seldom")).abs() < f64::EPSILON,
        "once, at the start"
    );
}

#[tokio::test]
async fn an_annotation_that_cannot_be_followed_stops_checks_until_it_is_fixed() {
    let (world, controller) = World::with_web("invalid", "").await;
    world.push(&world.version(2), "other").await;
    for (key, value, said) in [
        ("hold", "soon", "allowed is true, false or an instant"),
        ("interval", "often", "annotation kube-autorollout/interval"),
        ("schedule", "* *", "annotation kube-autorollout/schedule"),
        ("containers", "nobody", "the template has app"),
        ("exclude-containers", "app", "leaves no container to check"),
    ] {
        world.patch("web", annotated(key, Some(value))).await;
        controller.until_all("InvalidConfiguration", 1).await;
        controller.until_logged(&["WARN", "/web", said]).await;
        let note = world.until_event("web", "InvalidConfiguration").await;
        assert!(note.contains("kube-autorollout/"), "{note}");
        world.patch("web", annotated(key, None)).await;
        controller.until_all("UpToDate", 1).await;
    }
    assert_eq!(world.patches(), 0);
}
