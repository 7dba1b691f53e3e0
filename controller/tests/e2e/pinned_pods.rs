//! Pods that are created later run what was rolled out, by the policy of the chart on the real API server: after deletions
//! and evictions, on other nodes, beside owners that apply their manifests.

use k8s_openapi::api::{
    apps::v1 as apps,
    core::v1::{Node, Pod},
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, EvictParams, Patch, PatchParams},
};
use kube_autorollout_testbed::{
    admission::ImagePolicy,
    image::Image,
    node::{Nodes, NodesOptions, Scheduling},
    workload::{Deployment, eventually},
};
use serde_json::json;

use crate::{
    harness::{Controller, SOON, World},
    kinds::{self, KINDS},
    pinning::{self, PINNING, images, pins, pods, rolls_out, template},
};

/// A workload of each kind on nodes of their own, all on one tag.
struct Kinds {
    world: World,
    nodes: Nodes,
    controller: Controller,
}

/// The pods of each kind at first: two of a Deployment and of a StatefulSet, one of a DaemonSet on each of two nodes.
const PODS: usize = 6;

impl Kinds {
    /// Rolled out to version 2, and held.
    async fn held(hint: &str, configuration: &str) -> Self {
        let world = pinning::world(hint).await;
        let options = NodesOptions {
            name: hint.to_owned(),
            scheduling: Scheduling::Pool,
            ..NodesOptions::default()
        };
        let nodes = world.testbed.start_nodes(options).await.expect("nodes");
        world.push(&world.version(1), "app").await;
        for kind in KINDS {
            let like = Deployment::named(kind).container("app", &world.image("app"));
            let like = like.replicas(2).on_pool(hint).labelled();
            kinds::create_like(&world, kind, like).await;
        }
        let controller = world.controller(configuration).await;
        let kinds = Self {
            world,
            nodes,
            controller,
        };
        kinds.until_running(&kinds.world.marker(1), PODS).await;
        kinds.controller.until_all("UpToDate", 3).await;
        kinds.world.push(&kinds.world.version(2), "app").await;
        kinds.until_running(&kinds.world.marker(2), PODS).await;
        kinds.controller.until_all("UpToDate", 3).await;
        kinds.hold(Some("true")).await;
        kinds
    }

    async fn hold(&self, value: Option<&str>) {
        for kind in KINDS {
            kinds::hold(&self.world, kind, kind, value).await;
        }
    }

    /// Waits until none of these pods is left.
    async fn until_gone(&self, gone: Vec<Pod>) {
        let none = eventually(SOON, "none of these pods", async || {
            let left = pods(&self.world).await.into_iter();
            let mut left = left.filter(|pod| gone.iter().any(|one| one.uid() == pod.uid()));
            left.next().map_or(Ok(()), |pod| Err(pod.name_any()))
        });
        none.await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until there are this many containers, which run these images.
    async fn until_running(&self, marker: &str, pods: usize) {
        let running = eventually(SOON, marker, async || {
            let markers: Vec<_> = self.markers();
            let all = markers.len() == pods && markers.iter().all(|one| one == marker);
            all.then_some(()).ok_or_else(|| format!("{markers:?}"))
        });
        running.await.unwrap_or_else(|error| panic!("{error}"));
    }

    fn markers(&self) -> Vec<String> {
        let running = self.nodes.running(self.world.namespace.name()).into_iter();
        running.map(|one| one.marker).collect()
    }

    /// Version 3 is pushed while all is held, and then a pod of each kind is deleted, two are added and a node is drained.
    async fn live_through_a_push(&self) -> usize {
        let (world, api) = (&self.world, self.world.namespace.api::<Pod>());
        world.push(&world.version(3), "app").await;
        self.controller.until_all("Held", 3).await;
        let mut of_each_kind = pods(&self.world).await;
        of_each_kind.sort_by_key(|pod| pod.labels().get("app").cloned());
        of_each_kind.dedup_by_key(|pod| pod.labels().get("app").cloned());
        assert_eq!(of_each_kind.len(), 3);
        for pod in &of_each_kind {
            let deleted = api.delete(&pod.name_any(), &DeleteParams::default()).await;
            deleted.expect("deleted");
        }
        self.until_gone(of_each_kind).await;
        let three = json!({ "spec": { "replicas": 3 } });
        for kind in ["deployments", "statefulsets"] {
            kinds::patch(world, kind, kind, &three).await;
        }
        let expected = PODS + 2;
        self.until_containers(expected).await;

        let node = self.nodes.names().swap_remove(0);
        let nodes: Api<Node> = Api::all(world.namespace.client());
        nodes.cordon(&node).await.expect("cordoned");
        let on_it = pods(&self.world).await.into_iter().filter(|pod| {
            let spec = pod.spec.as_ref();
            spec.and_then(|spec| spec.node_name.as_ref()) == Some(&node)
        });
        let on_it: Vec<_> = on_it.collect();
        assert!(on_it.len() > 1, "there is something to drain");
        for pod in &on_it {
            let evicted = api.evict(&pod.name_any(), &EvictParams::default()).await;
            evicted.expect("evicted");
        }
        self.until_gone(on_it).await;
        self.until_containers(expected).await;
        expected
    }

    async fn until_containers(&self, containers: usize) {
        let all = eventually(SOON, "all containers", async || {
            let markers = self.markers();
            let pods = pods(&self.world).await.len();
            (markers.len() == containers && pods == containers)
                .then_some(())
                .ok_or_else(|| format!("{pods} pods, {markers:?}"))
        });
        all.await.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test]
async fn every_pod_that_is_created_during_a_hold_runs_what_was_rolled_out_and_one_rollout_follows()
{
    let kinds = Box::pin(Kinds::held("pinned-hold", PINNING)).await;
    let patches = kinds.world.patches();
    let pods = kinds.live_through_a_push().await;
    kinds.until_running(&kinds.world.marker(2), pods).await;
    kinds.controller.until_all("Held", 3).await;
    assert_eq!(kinds.world.patches(), patches, "held");

    kinds.hold(None).await;
    kinds.until_running(&kinds.world.marker(3), pods).await;
    kinds.controller.until_all("UpToDate", 3).await;
    kinds.controller.checks("deployments", 2).await;
    assert_eq!(kinds.world.patches(), patches + 3, "once each");
}

/// What pins are for.
#[tokio::test]
async fn without_pins_pods_that_are_created_during_a_hold_run_what_is_held_back() {
    let kinds = Box::pin(Kinds::held("unpinned-hold", "")).await;
    let patches = kinds.world.patches();
    kinds.live_through_a_push().await;
    let markers = kinds.markers();
    let new = kinds.world.marker(3);
    let leaked = markers.iter().filter(|marker| **marker == new).count();
    assert!(leaked >= 5, "three, and two more: {markers:?}");
    assert_eq!(kinds.world.patches(), patches, "held all the same");
}

/// `web` on version 1 of the tag `app`, as a manager applies it, rolled out to version 2 with pins.
async fn applied(hint: &str, manager: &str) -> (World, Controller) {
    let world = pinning::world(hint).await;
    world.push(&world.version(1), "app").await;
    apply(&world, manager, "app").await;
    world.rolled_out("web").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    rolls_out(&world, &controller, 2, 1).await;
    (world, controller)
}

/// Applies the manifest of `web` with this tag, as `kubectl apply --server-side`, Argo CD and Flux do.
async fn apply(world: &World, manager: &str, tag: &str) -> apps::Deployment {
    let manifest = Deployment::named("web")
        .container("app", &world.image(tag))
        .labelled()
        .build();
    let parameters = PatchParams::apply(manager).force();
    let api = world.namespace.api::<apps::Deployment>();
    let applied = api.patch("web", &parameters, &Patch::Apply(manifest)).await;
    applied.expect("applied")
}

#[tokio::test]
async fn an_edited_tag_wins_over_the_pin_of_the_old_one_until_its_own_first_rollout() {
    let (world, controller) = applied("edited", "kubectl").await;
    let old = pins(&world.deployment("web").await);
    world.push(&world.version(3), "next").await;
    let edited = apply(&world, "kubectl", "next").await;
    assert_eq!(pins(&edited), old, "nobody takes the annotation away");
    world.until_running(&world.marker(3), 1).await;
    world.rolled_out("web").await;
    assert_eq!(images(&world, "app").await, [world.image("next")]);
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1, "nothing is rolled out only to pin it");

    let image = world.version(4);
    world.push(&image, "next").await;
    world.until_running(&world.marker(4), 1).await;
    controller.until_all("UpToDate", 1).await;
    let pinned = format!("{}@{}", world.image("next"), image.digest());
    assert_eq!(images(&world, "app").await, [pinned]);
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn owners_that_apply_their_manifests_over_and_over_see_no_difference_and_roll_nothing_out() {
    for manager in ["argocd-controller", "kustomize-controller"] {
        let (world, controller) = applied("applied", manager).await;
        let before = world.deployment("web").await;
        for _ in 0..3 {
            let after = apply(&world, manager, "app").await;
            assert_eq!(after.metadata.generation, before.metadata.generation);
            assert_eq!(template(&after), template(&before));
            assert_ne!(pins(&after), "");
            controller.checks("web", 1).await;
        }
        let image = &template(&before)["spec"]["containers"][0]["image"];
        assert_eq!(image, &world.image("app"), "{manager}: Git stays right");
        assert_eq!(world.patches(), 1, "{manager}");
        world.until_running(&world.marker(2), 1).await;
    }
}

/// A digest behind `auto` would be an image that no registry has, and the mesh would not know it any more.
#[tokio::test]
async fn an_image_that_a_mesh_fills_in_is_left_to_the_mesh_beside_a_pinned_one() {
    let world = pinning::world("pinned-mesh").await;
    world.push(&world.version(1), "app").await;
    let proxy = |version: u32| Image::new(format!("pinned-mesh-proxy-{version}"));
    world.push(&proxy(1), "proxy").await;
    let mesh = ImagePolicy::fill_in("mesh", "auto", &world.image("proxy"));
    let put = mesh.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
    let web = Deployment::named("web")
        .container("app", &world.image("app"))
        .container("istio-proxy", "auto");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    let image = world.version(2);
    world.push(&image, "app").await;
    world.push(&proxy(2), "proxy").await;
    let both = vec![world.marker(2), "pinned-mesh-proxy-2".to_owned()];
    world.until_markers(both).await;
    controller.until_all("UpToDate", 1).await;
    let pinned = format!("{}@{}", world.image("app"), image.digest());
    let of_deployment = pins(&world.deployment("web").await);
    assert_eq!(of_deployment, json!({ "app": pinned }).to_string());
    assert_eq!(images(&world, "app").await, [pinned]);
    assert_eq!(images(&world, "istio-proxy").await, [world.image("proxy")]);
}
