//! StatefulSets and DaemonSets are rolled out as Deployments are, but for what their kinds wish.

use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
    core::DynamicObject,
};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    controller,
    workload::{DaemonSet, Deployment, Kind, StatefulSet, eventually},
};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, SOON, World},
    reported::{until_decided, until_reported},
};

/// All kinds, by their plurals.
pub(crate) const KINDS: [&str; 3] = ["deployments", "statefulsets", "daemonsets"];

/// Creates a labelled workload of a kind, named like it, and gives how many pods it comes to.
pub(crate) async fn create(world: &World, kind: &str, like: Deployment) -> usize {
    create_like(world, kind, like.replicas(3).labelled()).await;
    match kind {
        "daemonsets" => world.testbed.nodes().names().len(),
        _ => 3,
    }
}

/// Creates a workload of a kind like this one.
pub(crate) async fn create_like(world: &World, kind: &str, like: Deployment) {
    let object = of(kind).object(like).expect("a workload");
    let (api, parameters) = (api(world, kind), PostParams::default());
    api.create(&parameters, &object).await.expect("created");
}

/// Changes a workload of a kind as a user would.
pub(crate) async fn patch(world: &World, kind: &str, name: &str, patch: &Value) {
    let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
    let patched = api(world, kind).patch(name, &parameters, &patch).await;
    patched.expect("patched");
}

/// Sets the annotation by which a workload is held, or takes it away.
pub(crate) async fn hold(world: &World, kind: &str, name: &str, value: Option<&str>) {
    let annotations = json!({ "kube-autorollout/hold": value });
    let annotated = json!({ "metadata": { "annotations": annotations } });
    patch(world, kind, name, &annotated).await;
}

/// The API of a kind.
pub(crate) fn api(world: &World, kind: &str) -> Api<DynamicObject> {
    let namespace = &world.namespace;
    Api::namespaced_with(namespace.client(), namespace.name(), &of(kind).resource())
}

/// The kind with this plural.
pub(crate) fn of(plural: &str) -> Kind {
    plural.trim_end_matches('s').parse().expect("a kind")
}

/// The workload `web` of a kind on version 1 of the tag `app`, and a controller that finds it up to date.
pub(crate) async fn with(hint: &str, kind: &str) -> (World, Controller, usize) {
    let world = World::new(hint).await;
    let (controller, pods) = start(&world, kind, "").await;
    (world, controller, pods)
}

/// The same in this world, for a controller with more lines of configuration.
pub(crate) async fn start(world: &World, kind: &str, configuration: &str) -> (Controller, usize) {
    world.push(&world.version(1), "app").await;
    let like = Deployment::named("web").container("app", &world.image("app"));
    let pods = create(world, kind, like).await;
    world.until_running(&world.marker(1), pods).await;
    let controller = world.controller(configuration).await;
    controller.until_all("UpToDate", 1).await;
    (controller, pods)
}

#[tokio::test]
async fn a_push_rolls_out_each_kind_once_sidecars_included() {
    let world = World::new("kinds").await;
    world.push(&world.version(1), "app").await;
    let mut pods = 0;
    for kind in KINDS {
        let like = Deployment::named(kind)
            .container("app", &world.image("app"))
            .sidecar("side", &world.image("app"));
        pods += create(&world, kind, like).await;
    }
    world.until_running(&world.marker(1), 2 * pods).await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 3).await;

    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 2 * pods).await;
    controller.until_all("UpToDate", 3).await;
    controller.checks("daemonsets", 3).await;
    assert_eq!(KINDS.map(|kind| world.patches_of(kind)), [1, 1, 1]);
    for (kind, name) in KINDS.iter().zip(["Deployment", "StatefulSet", "DaemonSet"]) {
        let labels = [("kind", name), ("outcome", "completed")];
        let completed = controller.metrics().await.sum("rollouts_total", &labels);
        assert!((completed - 1.0).abs() < f64::EPSILON, "{name}");
        world.until_event(kind, "RolloutCompleted").await;
    }
}

#[tokio::test]
async fn a_sidecar_that_is_stale_alone_is_rolled_out_for_each_kind() {
    let world = World::new("kinds-sidecar").await;
    world.push(&world.version(1), "app").await;
    world.push(&world.version(1), "side").await;
    let mut pods = 0;
    for kind in KINDS {
        let like = Deployment::named(kind)
            .container("app", &world.image("app"))
            .sidecar("side", &world.image("side"));
        pods += create(&world, kind, like).await;
    }
    world.until_running(&world.marker(1), 2 * pods).await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 3).await;
    world.push(&world.version(2), "side").await;
    let versions = [1, 2].map(|version| vec![world.marker(version); pods]);
    world.until_markers(versions.concat()).await;
    controller.until_all("UpToDate", 3).await;
    assert_eq!(KINDS.map(|kind| world.patches_of(kind)), [1, 1, 1]);
}

/// Restarts the controller at each moment of a rollout.
async fn is_restarted_at_each_moment(kind: &str) {
    let (world, controller, pods) = with(&format!("restart-{kind}"), kind).await;

    controller.kill(); // before the patch
    world.push(&world.version(2), "app").await;
    controller.start().await;
    settles(&world, &controller, pods, 2).await;

    world.push(&world.version(3), "app").await;
    until_patched(&world, 2).await; // after it
    controller.kill();
    controller.start().await;
    settles(&world, &controller, pods, 3).await;

    world.push(&world.version(4), "app").await;
    let new = world.marker(4);
    let some = eventually(SOON, "some of the pods new", async || {
        let markers = world.markers();
        markers
            .contains(&new)
            .then_some(())
            .ok_or_else(|| format!("{markers:?}"))
    });
    some.await.unwrap_or_else(|error| panic!("{error}"));
    controller.kill();
    controller.start().await;
    settles(&world, &controller, pods, 4).await;

    world.push(&world.version(5), "app").await;
    world.until_running(&world.marker(5), pods).await; // all new
    controller.kill();
    controller.start().await;
    settles(&world, &controller, pods, 5).await;
}

/// Waits for this many patches.
async fn until_patched(world: &World, patches: usize) {
    let taken = eventually(SOON, "the patch", async || {
        let seen = world.patches();
        (seen >= patches)
            .then_some(())
            .ok_or_else(|| seen.to_string())
    });
    taken.await.unwrap_or_else(|error| panic!("{error}"));
}

/// All pods come to run this version, after one patch for each version since the first.
async fn settles(world: &World, controller: &Controller, pods: usize, version: u32) {
    world.until_running(&world.marker(version), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), version as usize - 1, "version {version}");
}

#[tokio::test]
async fn a_deployment_is_rolled_out_once_whenever_the_controller_restarts() {
    is_restarted_at_each_moment("deployments").await;
}

#[tokio::test]
async fn a_stateful_set_is_rolled_out_once_whenever_the_controller_restarts() {
    is_restarted_at_each_moment("statefulsets").await;
}

#[tokio::test]
async fn a_daemon_set_is_rolled_out_once_whenever_the_controller_restarts() {
    is_restarted_at_each_moment("daemonsets").await;
}

/// A tag moves on before its last move has been rolled out.
async fn ends_on_the_last_push(hint: &str, kind: &str, moves: [u32; 2]) {
    let (world, controller, pods) = with(hint, kind).await;
    for version in moves {
        world.push(&world.version(version), "app").await;
    }
    world.until_running(&world.marker(moves[1]), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    world.until_running(&world.marker(moves[1]), pods).await;
    assert!(
        world.patches() <= 3,
        "two targets, and one rollout more: {}",
        world.patches()
    );
}

#[tokio::test]
async fn a_tag_that_moves_twice_within_seconds_ends_on_the_last_image() {
    for kind in KINDS {
        ends_on_the_last_push(&format!("abc-{kind}"), kind, [2, 3]).await;
    }
}

#[tokio::test]
async fn a_tag_that_moves_forth_and_back_ends_on_the_first_image() {
    for kind in KINDS {
        ends_on_the_last_push(&format!("aba-{kind}"), kind, [2, 1]).await;
    }
}

#[tokio::test]
async fn pods_below_a_partition_are_not_compared() {
    let world = World::new("partition").await;
    world.push(&world.version(1), "app").await;
    let like = Deployment::named("web")
        .replicas(3)
        .container("app", &world.image("app"))
        .labelled();
    world
        .create_object(&StatefulSet::like(like).partition(1).build())
        .await;
    world.until_running(&world.marker(1), 3).await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;

    world.push(&world.version(2), "app").await;
    let expected = [1, 2, 2].map(|version| world.marker(version));
    world.until_markers(expected.to_vec()).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.markers(), expected);
    assert_eq!(world.patches(), 1);
    world.until_event("web", "RolloutCompleted").await;
}

#[tokio::test]
async fn a_partition_above_all_pods_is_no_reason_to_roll_out() {
    let (world, controller, _) = with("partition-all", "statefulsets").await;
    let partition =
        json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 3 } } } });
    patch(&world, "statefulsets", "web", &partition).await;
    controller
        .until_logged(&["decided", "Skipped", "NoPods"])
        .await;
    world.push(&world.version(2), "app").await;
    until_decided(&controller, 3).await;
    assert_eq!(world.patches(), 0, "no pod would be new");
}

#[tokio::test]
async fn where_people_replace_pods_nothing_is_rolled_out() {
    let world = World::new("on-delete").await;
    world.push(&world.version(1), "app").await;
    let like = |name| {
        Deployment::named(name)
            .container("app", &world.image("app"))
            .labelled()
    };
    let set = StatefulSet::like(like("set")).on_delete();
    world.create_object(&set.build()).await;
    let daemons = DaemonSet::like(like("daemons")).on_delete();
    world.create_object(&daemons.build()).await;
    let pods = 1 + world.testbed.nodes().names().len();
    world.until_running(&world.marker(1), pods).await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 2).await;

    world.push(&world.version(2), "app").await;
    controller.until_all("Skipped", 2).await;
    for name in ["set", "daemons"] {
        until_reported(&world, &controller, name, State::Skipped, Reason::OnDelete).await;
    }
    controller.checks("set", 3).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn a_history_that_may_not_be_read_is_the_trouble_of_its_own_kind() {
    let rights = controller::rights(&["controllerrevisions"]);
    let world = World::with_rights("forbidden-history", rights).await;
    world.push(&world.version(1), "app").await;
    let image = world.image("app");
    let like = |name: &str| Deployment::named(name).container("app", &image);
    let mut pods = create(&world, "daemonsets", like("daemons")).await;
    for number in 0..8 {
        // More than are read one by one, so that one batch has them all.
        pods += create(&world, "deployments", like(&format!("web-{number}"))).await;
    }
    world.until_running(&world.marker(1), pods).await;
    let controller = world.controller("").await;
    controller
        .until("the others checked", |metrics| {
            metrics.states() == [("UpToDate".to_owned(), 8), ("Unknown".to_owned(), 1)].into()
        })
        .await;
    controller
        .until_logged(&["WARN", "/daemons", "controllerrevisions"])
        .await;
}
