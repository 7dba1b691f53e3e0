//! Tools that apply manifests over and over, beside our two annotations.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams, PostParams};
use kube_autorollout_testbed::workload;
use serde_json::{Map, Value, json};

use crate::harness::{Controller, World};

const DIGESTS: &str = "kube-autorollout/digests";
const RESTARTED_AT: &str = "kube-autorollout/restartedAt";
const KUBECTL_RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Applies the manifest of `web` with server-side apply, as Argo CD and Flux do.
async fn apply(world: &World, manager: &str) -> Deployment {
    let manifest = workload::Deployment::named("web")
        .container("app", &world.image("app"))
        .labelled()
        .build();
    let parameters = PatchParams::apply(manager).force();
    let api = world.namespace.api::<Deployment>();
    let applied = api.patch("web", &parameters, &Patch::Apply(manifest)).await;
    applied.expect("applied")
}

/// Applied by a tool, and rolled out by us since.
async fn rolled_out(hint: &str, manager: &str) -> (World, Controller) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    apply(&world, manager).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    (world, controller)
}

/// An annotation of the pod template.
fn annotation(deployment: &Deployment, key: &str) -> Option<String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(key).cloned()
}

#[tokio::test]
async fn a_manifest_that_is_applied_again_leaves_our_annotations_and_rolls_nothing_out() {
    let (world, controller) = rolled_out("argo", "argocd-controller").await;
    let before = world.deployment("web").await;
    let after = apply(&world, "argocd-controller").await;
    for key in [DIGESTS, RESTARTED_AT] {
        assert!(annotation(&after, key).is_some(), "{key}");
        assert_eq!(annotation(&after, key), annotation(&before, key));
    }
    assert_eq!(after.metadata.generation, before.metadata.generation);
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn a_tool_that_takes_over_the_fields_of_kubectl_leaves_ours() {
    let (world, controller) = rolled_out("flux", "kustomize-controller").await;
    let restart = json!({ "spec": { "template": { "metadata": { "annotations": { KUBECTL_RESTARTED_AT: "2026-01-01T00:00:00Z" } } } } });
    let kubectl = PatchParams {
        field_manager: Some("kubectl-rollout".to_owned()),
        ..PatchParams::default()
    };
    let api = world.namespace.api::<Deployment>();
    let restarted = api.patch("web", &kubectl, &Patch::Merge(restart)).await;
    let before = restarted.expect("restarted");
    world.rolled_out("web").await;

    take_over(&world, "kustomize-controller").await;
    let after = apply(&world, "kustomize-controller").await;
    assert_eq!(annotation(&after, KUBECTL_RESTARTED_AT), None, "taken over");
    for key in [DIGESTS, RESTARTED_AT] {
        assert!(annotation(&after, key).is_some(), "{key}");
        assert_eq!(annotation(&after, key), annotation(&before, key));
    }
    world.rolled_out("web").await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 1);
}

/// What Flux does before it applies: the fields of managers with the prefix `kubectl` become its own
/// (<https://github.com/fluxcd/pkg/blob/main/ssa/patch.go>).
async fn take_over(world: &World, manager: &str) {
    let deployment = world.deployment("web").await;
    let entries = json!(deployment.metadata.managed_fields);
    let entries: Vec<Value> = serde_json::from_value(entries).expect("managed fields");
    let is_kubectl = |entry: &Value| {
        let name = entry["manager"].as_str();
        name.is_some_and(|name| name.starts_with("kubectl"))
    };
    let (taken, mut kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_kubectl);
    assert_eq!(taken.len(), 1, "that of kubectl rollout restart");
    let own = kept
        .iter_mut()
        .find(|entry| entry["manager"] == manager && entry["operation"] == "Apply")
        .expect("an entry of its own");
    for entry in &taken {
        merge(&mut own["fieldsV1"], &entry["fieldsV1"]);
    }
    world
        .patch("web", json!({ "metadata": { "managedFields": kept } }))
        .await;
}

/// The union of two sets of fields.
fn merge(into: &mut Value, from: &Value) {
    let Some(from) = from.as_object() else {
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (key, fields) in from {
        merge(&mut into[key.as_str()], fields);
    }
}

#[tokio::test]
async fn an_owner_that_writes_the_whole_object_again_and_again_meets_one_rollout_and_is_named() {
    let world = World::new("owner").await;
    world.push(&world.version(1), "app").await;
    let manifest = workload::Deployment::named("web")
        .container("app", &world.image("app"))
        .labelled()
        .build();
    let owner = PostParams {
        field_manager: Some("template-owner".to_owned()),
        ..PostParams::default()
    };
    let api = world.namespace.api::<Deployment>();
    let created = api.create(&owner, &manifest).await;
    created.expect("created");
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    let lists = || {
        let requests = world.requests();
        let lists = requests
            .iter()
            .filter(|request| request.verb == "list" && request.resource == "deployments");
        lists.count()
    };
    let before = lists();

    // Slow, so that the old pods still run when the template is reset, and Kubernetes goes back to them.
    let slow = world.version(2).download(Duration::from_secs(10));
    world.push(&slow, "app").await;
    world
        .until("web", |web| annotation(web, DIGESTS).is_some())
        .await;
    for _ in 0..5 {
        let replaced = api.replace("web", &owner, &manifest).await;
        assert_eq!(annotation(&replaced.expect("replaced"), DIGESTS), None);
        controller.until_all("NotConverging", 1).await;
        controller.checks("web", 2).await;
    }
    assert_eq!(world.patches(), 1, "once an hour at most");
    world.until_running(&world.marker(1), 1).await;
    let note = world.until_event("web", "NotConverging").await;
    let removed = "annotation was removed from the pod template (field manager \"template-owner\")";
    assert!(note.contains(removed), "{note}");
    controller.until_logged(&["WARN", "/web", removed]).await;
    let notes = world.events("web", "NotConverging").await;
    assert_eq!(notes, [note], "reported once");
    assert_eq!(lists(), before + 1, "who it is was asked once");
    let stuck = controller.metrics().await.rollouts("not_converging");
    assert_eq!(stuck, 1, "counted once");
}

#[tokio::test]
async fn an_owner_that_resets_the_template_causes_one_rollout_for_each_digest() {
    let (world, controller) = World::with_web("resets", "").await;
    for version in [2, 3] {
        // Slow, so that pods of the old image are there to be found stale, again and again.
        let slow = world.version(version).download(Duration::from_secs(3));
        world.push(&slow, "app").await;
        world
            .until("web", |web| annotation(web, DIGESTS).is_some())
            .await;
        for _ in 0..6 {
            let reset = json!({ DIGESTS: null, RESTARTED_AT: null });
            let reset = json!({ "spec": { "template": { "metadata": { "annotations": reset } } } });
            world.patch("web", reset).await;
            controller.checks("web", 1).await;
        }
        assert_eq!(world.patches(), version as usize - 1, "version {version}");
    }
}
