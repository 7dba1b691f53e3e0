//! Images that do not come to run: rolled out once, reported, and left alone until another image comes.

use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use kube_autorollout_testbed::{
    image::{Behaviour, Content as _, Image, ImageIndex},
    workload,
    workload::eventually,
};

use serde_json::json;

use crate::{
    harness::{Controller, SOON, World},
    kinds,
    metrics::Metrics,
};

/// Waits until `web` does not converge for one of the reasons, sees that it is left alone, and fixes it with `good`.
async fn is_guarded(world: &World, controller: &Controller, reasons: &[&str], good: &Image) {
    let metrics = is_left_alone(world, controller, reasons).await;
    let outdated = metrics.value("workload_outdated", &[("name", "web")]);
    assert_eq!(outdated, Some(1.0));
    world.push(good, "app").await;
    controller.until_all("UpToDate", 1).await;
    assert!(
        world.patches() <= 2,
        "the kubelet's own retry, or one further patch"
    );
}

/// Waits until `web` does not converge for one of the reasons, and checks ten times more.
async fn is_left_alone(world: &World, controller: &Controller, reasons: &[&str]) -> Metrics {
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
    assert_eq!(metrics.rollouts("triggered"), 1);
    assert_eq!(metrics.rollouts("not_converging"), 1);
    assert_eq!(world.patches(), 1, "ten checks and no second patch");
    metrics
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

/// Without permission to read nodes, an image for another platform seems to be like any other; the nodes cannot pull it.
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

/// One pod of a kind that replaces them in turn gets stuck and holds up the others, until the next image comes.
async fn is_mended_by_the_next_image(hint: &str, kind: &str, bad: &ImageIndex, reasons: &[&str]) {
    let (world, controller, pods) = kinds::with(hint, kind).await;
    world.push(bad, "app").await;
    is_left_alone(&world, &controller, reasons).await;
    let others = vec![world.marker(1); pods - 1];
    assert_eq!(world.markers(), others, "they go on running");

    world.push(&world.version(3), "app").await;
    // The stuck pod of a StatefulSet is not replaced: it pulls the tag at its next start, and then the others' turn comes.
    world.until_running(&world.marker(3), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert!(
        world.patches() <= 2,
        "the kubelet's own retry, or one further patch"
    );
}

fn unpullable(hint: &str) -> ImageIndex {
    ImageIndex::of([Image::new(hint).platform("linux", "arm64")])
}

fn crashing(hint: &str) -> ImageIndex {
    ImageIndex::of([Image::new(hint).behaviour(Behaviour::Crashes)])
}

const PULL_ERRORS: &[&str] = &["ErrImagePull", "ImagePullBackOff"];

#[tokio::test]
async fn a_stateful_set_whose_image_cannot_be_pulled_is_rolled_out_once_and_mended_by_the_next() {
    let (hint, kind) = ("set-unpullable", "statefulsets");
    is_mended_by_the_next_image(hint, kind, &unpullable(hint), PULL_ERRORS).await;
}

#[tokio::test]
async fn a_stateful_set_whose_image_crashes_is_rolled_out_once_and_mended_by_the_next() {
    let (hint, kind) = ("set-crashes", "statefulsets");
    is_mended_by_the_next_image(hint, kind, &crashing(hint), &["CrashLoopBackOff"]).await;
}

/// A StatefulSet does not replace the pod that the first of two broken images has left.
async fn is_broken_twice(hint: &str, broken: impl Fn(&str) -> ImageIndex, reasons: &[&str]) {
    let (world, controller, pods) = kinds::with(hint, "statefulsets").await;
    world.push(&broken(&format!("{hint}-2")), "app").await;
    is_left_alone(&world, &controller, reasons).await;

    let second = broken(&format!("{hint}-3"));
    world.push(&second, "app").await;
    let digest = second.root_digest().to_string();
    let reported = eventually(SOON, "the second Event", async || {
        let notes = world.events("web", "NotConverging").await;
        let of_second = |note: &&String| note.contains(&digest[..19]);
        let note = notes.iter().find(of_second).cloned();
        note.ok_or_else(|| format!("{notes:?}"))
    });
    let note = reported.await.unwrap_or_else(|error| panic!("{error}"));
    let names = |part: &str| note.contains(part);
    assert!(
        reasons.iter().any(|reason| names(reason)) && names("in pod web-2"),
        "{note}"
    );
    controller.checks("web", 5).await;
    assert!(
        world.patches() <= 2,
        "the kubelet's own retry, or one further patch"
    );

    world.push(&world.version(4), "app").await;
    world.until_running(&world.marker(4), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert!(
        world.patches() <= 3,
        "the kubelet's own retry, or one further patch"
    );
}

#[tokio::test]
async fn a_stateful_set_whose_images_cannot_be_pulled_one_after_the_other_says_so_and_is_mended() {
    is_broken_twice("set-unpullable-twice", unpullable, PULL_ERRORS).await;
}

#[tokio::test]
async fn a_stateful_set_whose_images_crash_one_after_the_other_says_so_and_is_mended() {
    is_broken_twice("set-crashes-twice", crashing, &["CrashLoopBackOff"]).await;
}

#[tokio::test]
async fn a_stateful_set_whose_pod_never_gets_ready_goes_on_when_that_is_deleted() {
    let (world, controller, pods) = kinds::with("set-never-ready", "statefulsets").await;
    let never = world.version(2).behaviour(Behaviour::NeverReady);
    world.push(&never, "app").await;
    let mut running = vec![world.marker(1); pods - 1];
    running.push(world.marker(2));
    let stuck = eventually(SOON, "a pod that is not ready", async || {
        let markers = world.markers();
        (markers == running)
            .then_some(())
            .ok_or_else(|| format!("{markers:?}"))
    });
    stuck.await.unwrap_or_else(|error| panic!("{error}"));
    world.push(&world.version(3), "app").await;
    controller.checks("web", 5).await;
    controller.until_all("RollingOut", 1).await;
    assert_eq!(world.markers(), running, "Kubernetes waits for it");

    let stuck = world.namespace.api::<Pod>();
    let deleted = stuck.delete("web-2", &DeleteParams::default()).await;
    deleted.expect("deleted");
    world.until_running(&world.marker(3), pods).await;
    controller.until_all("UpToDate", 1).await;
}

#[tokio::test]
async fn a_daemon_set_whose_image_cannot_be_pulled_is_rolled_out_once_and_mended_by_the_next() {
    let (hint, kind) = ("daemons-unpullable", "daemonsets");
    is_mended_by_the_next_image(hint, kind, &unpullable(hint), PULL_ERRORS).await;
}

#[tokio::test]
async fn a_daemon_set_whose_image_crashes_is_rolled_out_once_and_mended_by_the_next() {
    let (hint, kind) = ("daemons-crashes", "daemonsets");
    is_mended_by_the_next_image(hint, kind, &crashing(hint), &["CrashLoopBackOff"]).await;
}

/// Two containers, of which the new image of one crashes until it is fixed, and then the other's tag moves.
async fn does_not_hold_up_another(hint: &str, kind: &str) {
    let world = World::new(hint).await;
    let image = |container: &str, version: u32| Image::new(format!("{hint}-{container}-{version}"));
    for container in ["bad", "good"] {
        world.push(&image(container, 1), container).await;
    }
    let like = workload::Deployment::named("web")
        .container("bad", &world.image("bad"))
        .container("good", &world.image("good"));
    let pods = kinds::create(&world, kind, like).await;
    let running = async |versions: [(&str, u32); 2]| {
        let versions = versions.map(|(container, version)| format!("{hint}-{container}-{version}"));
        let expected = versions.map(|marker| vec![marker; pods]).concat();
        world.until_markers(expected).await;
    };
    running([("bad", 1), ("good", 1)]).await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;

    let crashes = image("bad", 2).behaviour(Behaviour::Crashes);
    world.push(&crashes, "bad").await;
    controller.until_all("NotConverging", 1).await;
    assert_eq!(world.patches(), 1);
    world.push(&image("good", 2), "good").await;
    let both = |metrics: &Metrics| metrics.rollouts("triggered") > 1;
    controller.until("another rollout", both).await;
    controller.checks("web", 5).await;
    assert_eq!(world.patches(), 2, "one for each digest");

    world.push(&image("bad", 3), "bad").await;
    running([("bad", 3), ("good", 2)]).await;
    controller.until_all("UpToDate", 1).await;
    assert!(
        world.patches() <= 3,
        "the kubelet's own retry, or one further patch"
    );
}

#[tokio::test]
async fn a_container_that_does_not_converge_does_not_hold_up_another_of_a_deployment() {
    does_not_hold_up_another("stuck-deployment", "deployments").await;
}

#[tokio::test]
async fn a_container_that_does_not_converge_does_not_hold_up_another_of_a_stateful_set() {
    does_not_hold_up_another("stuck-set", "statefulsets").await;
}

#[tokio::test]
async fn a_container_that_does_not_converge_does_not_hold_up_another_of_a_daemon_set() {
    does_not_hold_up_another("stuck-daemons", "daemonsets").await;
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
    let reported = controller.log();
    assert!(!reported.contains("RuntimeReportsAlias"), "{reported}");
    let metrics = controller.metrics().await;
    assert_eq!(metrics.rollouts("not_converging"), 0);
}
