//! Images that do not come to run: rolled out once, told, and left alone until another image comes.

use kube_autorollout_testbed::{
    image::{Behaviour, Image, ImageIndex},
    workload,
};

use serde_json::json;

use crate::harness::{Controller, World};

/// Rolls out `bad`, sees that it does not converge for `reasons` and is left alone, and mends it with `good`.
async fn is_guarded(world: &World, controller: &Controller, reasons: &[&str], good: &Image) {
    controller
        .until("not converging", |metrics| {
            metrics.states().contains_key("NotConverging")
        })
        .await;
    let note = world.until_event("web", "NotConverging").await;
    assert!(reasons.iter().any(|reason| note.contains(reason)), "{note}");
    controller
        .until_logged(&["WARN", "container app", "was rolled out"])
        .await;
    controller.checks("web", 10).await;
    let metrics = controller.metrics().await;
    assert_eq!(metrics.states(), [("NotConverging".to_owned(), 1)].into());
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "web")]),
        Some(1.0)
    );
    assert!((metrics.rollouts("triggered") - 1.0).abs() < f64::EPSILON);
    assert!((metrics.rollouts("not_converging") - 1.0).abs() < f64::EPSILON);
    assert_eq!(world.patches(), 1, "ten checks and no second patch");

    world.push(good, "app").await;
    controller.until_all("UpToDate", 1).await;
    world.rolled_out("web").await;
    assert!(
        world.patches() <= 2,
        "the kubelet's own retry, or one further patch"
    );
}

async fn deploy(world: &World, deadline: Option<i32>) -> Controller {
    world.push(&ImageIndex::of([world.version(1)]), "app").await;
    let web = workload::Deployment::named("web")
        .container("app", &world.image("app"))
        .labelled();
    world
        .create(
            deadline
                .into_iter()
                .fold(web, workload::Deployment::progress_deadline),
        )
        .await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    controller
}

/// Without permission to read nodes, an image for another platform looks like any other; the nodes cannot pull it.
async fn cannot_be_pulled(hint: &str, deadline: Option<i32>, reasons: &[&str]) {
    let world = World::new(hint).await;
    let controller = deploy(&world, deadline).await;
    world
        .push(
            &ImageIndex::of([world.version(2).platform("linux", "arm64")]),
            "app",
        )
        .await;
    is_guarded(&world, &controller, reasons, &world.version(3)).await;
}

async fn crashes(hint: &str, deadline: Option<i32>, reasons: &[&str]) {
    let world = World::new(hint).await;
    let controller = deploy(&world, deadline).await;
    world
        .push(&world.version(2).behaviour(Behaviour::Crashes), "app")
        .await;
    is_guarded(&world, &controller, reasons, &world.version(3)).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_rolled_out_once() {
    cannot_be_pulled("unpullable", None, &["ErrImagePull", "ImagePullBackOff"]).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_rolled_out_once_with_a_short_deadline() {
    let reasons = [
        "ErrImagePull",
        "ImagePullBackOff",
        "ProgressDeadlineExceeded",
    ];
    cannot_be_pulled("unpullable-short", Some(5), &reasons).await;
}

#[tokio::test]
async fn an_image_that_crashes_is_rolled_out_once() {
    crashes("crashes", None, &["CrashLoopBackOff"]).await;
}

#[tokio::test]
async fn an_image_that_crashes_is_rolled_out_once_with_a_short_deadline() {
    crashes(
        "crashes-short",
        Some(5),
        &["CrashLoopBackOff", "ProgressDeadlineExceeded"],
    )
    .await;
}

#[tokio::test]
async fn pods_that_are_newer_than_the_last_check_are_no_sign_of_another_image() {
    let (world, controller) = World::with_web("newer-pods", "interval: 20s").await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 1).await;

    world.push(&world.version(3), "app").await;
    world.patch("web", json!({"spec": {"replicas": 2}})).await;
    world.until_running(&world.marker(3), 2).await;
    controller.until_all("UpToDate", 1).await;
    let told = controller.log();
    assert!(!told.contains("RuntimeReportsAlias"), "{told}");
    assert!(controller.metrics().await.rollouts("not_converging") < 1.0);
}
