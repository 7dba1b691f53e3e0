//! Rollouts that are undone, as `kubectl rollout undo` does it, and tags that move to and fro.

use k8s_openapi::api::apps::v1::{
    ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet,
};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    admission::PinPolicy,
    workload::{self, eventually},
};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, SOON, World},
    kinds::{self, KINDS},
    reported::until_reported,
};

pub(crate) const PINNING: &str = "pinning: { enabled: true }";

/// The chart's policy is in force for the world's pods.
pub(crate) async fn put_in_force(world: &World) {
    let policy = PinPolicy::of_chart().expect("the chart's policy");
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
}

/// A workload of a kind whose pods are pinned to version 2 by a rollout, and a controller that finds it up to date.
async fn pinned(hint: &str, kind: &str, configuration: &str) -> (World, Controller, usize) {
    let world = World::new(hint).await;
    put_in_force(&world).await;
    world.push(&world.version(1), "app").await;
    let like = workload::Deployment::named("web").container("app", &world.image("app"));
    let pods = kinds::create(&world, kind, like).await;
    world.until_running(&world.marker(1), pods).await;
    let controller = world
        .controller(&format!("{PINNING}\n{configuration}"))
        .await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 2, pods).await;
    (world, controller, pods)
}

/// Pushes a version, and sees it rolled out.
async fn rolls_out(world: &World, controller: &Controller, version: u32, pods: usize) {
    world.push(&world.version(version), "app").await;
    world.until_running(&world.marker(version), pods).await;
    controller.until_all("UpToDate", 1).await;
}

/// What `kubectl rollout undo` does, to the template that was rolled out to this version.
async fn undo(world: &World, kind: &str, version: u32) {
    let digest = world.version(version).digest().to_string();
    let of_version = |template: &Value| {
        let record = &template["metadata"]["annotations"]["kube-autorollout/digests"];
        record
            .as_str()
            .is_some_and(|record| record.contains(&digest))
    };
    let all = ListParams::default();
    let (namespace, parameters) = (&world.namespace, PatchParams::default());
    if kind == "deployments" {
        let sets = namespace.api::<ReplicaSet>().list(&all).await;
        let sets = sets.expect("ReplicaSets").items.into_iter();
        let mut templates = sets.filter_map(|set| set.spec?.template);
        let template = templates.find(|template| of_version(&json!(template)));
        let mut template = template.expect("a template");
        let metadata = template.metadata.as_mut().expect("metadata");
        let labels = metadata.labels.as_mut().expect("labels");
        labels.remove("pod-template-hash");
        let api = namespace.api::<Deployment>();
        let undone = eventually(SOON, "the old template", async || {
            let mut web = world.deployment("web").await;
            web.spec.as_mut().expect("a spec").template = template.clone();
            let replaced = api.replace("web", &PostParams::default(), &web).await;
            replaced.map(drop).map_err(|error| error.to_string())
        });
        undone.await.unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    let revisions = namespace.api::<ControllerRevision>().list(&all).await;
    let patches = revisions
        .expect("revisions")
        .items
        .into_iter()
        .map(|revision| json!(revision.data));
    let patch = patches
        .into_iter()
        .find(|patch| of_version(&patch["spec"]["template"]));
    let patch = Patch::Strategic(patch.expect("a revision"));
    let undone = if kind == "statefulsets" {
        let api = namespace.api::<StatefulSet>();
        api.patch("web", &parameters, &patch).await.map(drop)
    } else {
        let api = namespace.api::<DaemonSet>();
        api.patch("web", &parameters, &patch).await.map(drop)
    };
    undone.expect("undone");
}

async fn stays_undone(world: &World, controller: &Controller, pods: usize) {
    world.until_running(&world.marker(2), pods).await;
    let (state, reason) = (State::Held, Reason::RolledBack);
    until_reported(world, controller, "web", state, reason).await;
    let before = world.patches();
    controller.checks("web", 5).await;
    controller.until_all("Held", 1).await;
    assert_eq!(world.patches(), before, "five checks");
    world.until_running(&world.marker(2), pods).await;
}

#[tokio::test]
async fn an_undone_rollout_stays_undone_until_the_next_push() {
    for kind in KINDS {
        let (world, controller, pods) = pinned(&format!("undo-{kind}"), kind, "").await;
        rolls_out(&world, &controller, 3, pods).await;
        undo(&world, kind, 2).await;
        stays_undone(&world, &controller, pods).await;
        assert_eq!(controller.stop().await, Some(0));
        controller.start().await;
        stays_undone(&world, &controller, pods).await;
        assert_eq!(world.patches(), 2);
        rolls_out(&world, &controller, 4, pods).await;
        assert_eq!(world.patches(), 3, "{kind}");
        assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
        assert_eq!(world.events("web", "NotConverging").await, [""; 0]);
    }
}

#[tokio::test]
async fn an_undone_rollout_stays_undone_with_another_leader_and_costs_no_request() {
    const ELECTED: &str = "leaderElection: { enabled: true }";
    let (world, first, pods) = pinned("undo-leader", "deployments", ELECTED).await;
    let second = world.controller(&format!("{PINNING}\n{ELECTED}")).await;
    rolls_out(&world, &first, 3, pods).await;
    undo(&world, "deployments", 2).await;
    stays_undone(&world, &first, pods).await;
    assert_eq!(first.stop().await, Some(0));
    stays_undone(&world, &second, pods).await;
    let requests = || {
        let requests = world.requests().into_iter();
        requests
            .filter(|request| request.resource != "leases")
            .count()
    };
    let before = requests();
    second.checks("web", 5).await;
    assert_eq!(requests(), before, "its history has been read");
}

#[tokio::test]
async fn an_undone_rollout_comes_back_when_its_owner_says_so_and_a_restart_does_not() {
    let (world, controller, pods) = pinned("undo-hold", "deployments", "").await;
    rolls_out(&world, &controller, 3, pods).await;
    undo(&world, "deployments", 2).await;
    stays_undone(&world, &controller, pods).await;
    let annotations = json!({ "kubectl.kubernetes.io/restartedAt": "2100-01-01T00:00:00Z" });
    let restart = json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } });
    world.patch("web", restart).await;
    world.rolled_out("web").await;
    stays_undone(&world, &controller, pods).await;
    let annotations = json!({ "kube-autorollout/hold": "false" });
    world
        .patch("web", json!({ "metadata": { "annotations": annotations } }))
        .await;
    world.until_running(&world.marker(3), pods).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 3);
}

#[tokio::test]
async fn a_tag_that_moves_to_and_fro_is_rolled_out_each_time() {
    for kind in KINDS {
        let (world, controller, pods) = pinned(&format!("fro-{kind}"), kind, "").await;
        for version in [3, 2, 3, 2] {
            rolls_out(&world, &controller, version, pods).await;
        }
        controller.checks("web", 3).await;
        assert_eq!(world.patches(), 5, "{kind}");
    }
}

/// Without pins the pods of an older template pull what the tag names: there is nothing to hold.
#[tokio::test]
async fn without_pins_an_undone_rollout_runs_what_the_tag_names() {
    let (world, controller, pods) = kinds::with("undo-unpinned", "deployments").await;
    for version in [2, 3] {
        rolls_out(&world, &controller, version, pods).await;
    }
    undo(&world, "deployments", 2).await;
    let deployed = eventually(SOON, "the old template", async || {
        let web = world.deployment("web").await;
        let template = json!(web.spec)["template"].to_string();
        let digest = world.version(2).digest().to_string();
        template.contains(&digest).then_some(()).ok_or(template)
    });
    deployed.await.unwrap_or_else(|error| panic!("{error}"));
    world.rolled_out("web").await;
    world.until_running(&world.marker(3), pods).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2);
}
