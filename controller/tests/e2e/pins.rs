//! Pins: what a rollout brings is what pods run, whatever the tag names when they are created.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    admission::ImagePolicy,
    image::ImageIndex,
    receiver::Receiver,
    workload::{Deployment, eventually},
};
use serde_json::{Value, json};

use crate::{
    harness::{Controller, SOON, World},
    notifications::{configuration, messages},
    reported::until_reported,
    rollbacks::{PINNING, put_in_force},
};

async fn template(world: &World) -> Value {
    json!(world.deployment("web").await.spec)["template"].clone()
}

/// The annotation as it was written.
async fn pins(world: &World) -> String {
    let template = template(world).await;
    let pins = &template["metadata"]["annotations"]["kube-autorollout/pins"];
    pins.as_str().unwrap_or_default().to_owned()
}

/// The images of the pods' containers of that name.
async fn images(world: &World, container: &str) -> Vec<String> {
    let pods = world.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("pods");
    let living = pods.items.into_iter();
    let living = living.filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let containers = living.filter_map(|pod| pod.spec).flat_map(|spec| {
        let init = spec.init_containers.unwrap_or_default();
        spec.containers.into_iter().chain(init)
    });
    let named = containers.filter(|found| found.name == container);
    named.map(|found| found.image.unwrap_or_default()).collect()
}

async fn annotate(world: &World, key: &str, value: Option<&str>) {
    let annotations = json!({ key: value });
    world
        .patch("web", json!({ "metadata": { "annotations": annotations } }))
        .await;
}

/// Deletes every pod, and waits for others in their place.
async fn replace_pods(world: &World, marker: &str, containers: usize) {
    let pods = world.namespace.api::<Pod>();
    let all = ListParams::default();
    let before = names(world).await;
    let deleted = pods.delete_collection(&DeleteParams::default(), &all).await;
    deleted.expect("deleted");
    let replaced = eventually(SOON, "other pods", async || {
        let now = names(world).await;
        let is_new = !now.is_empty() && now.iter().all(|name| !before.contains(name));
        is_new.then_some(()).ok_or_else(|| format!("{now:?}"))
    });
    replaced.await.unwrap_or_else(|error| panic!("{error}"));
    world.until_running(marker, containers).await;
}

async fn names(world: &World) -> Vec<String> {
    let pods = world.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("pods");
    let names = pods.items.into_iter().map(|pod| pod.metadata.name);
    names.map(Option::unwrap_or_default).collect()
}

/// `web` on version 1, rolled out to version 2 with pins.
async fn pinned(hint: &str, configuration: &str) -> (World, Controller) {
    let configuration = format!("{PINNING}\n{configuration}");
    let (world, controller) = World::with_web(hint, &configuration).await;
    put_in_force(&world).await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    (world, controller)
}

fn value(metrics: &crate::metrics::Metrics, name: &str) -> Option<f64> {
    metrics.value(name, &[("name", "web")])
}

#[tokio::test]
async fn a_rollout_pins_every_container_that_is_checked_and_no_other() {
    let world = World::new("pins").await;
    put_in_force(&world).await;
    let fixed = world.version(8);
    world.push(&ImageIndex::of([world.version(1)]), "app").await;
    for tag in ["latest", "init", "fixed"] {
        world.push(&fixed, tag).await;
    }
    let latest = world.image("latest").replace(":latest", "");
    let own = format!("{}@{}", world.image("fixed"), fixed.digest());
    let web = Deployment::named("web")
        .container("app", &world.image("app"))
        .container("plain", &latest)
        .container("own", &own)
        .sidecar("side", &world.image("fixed"))
        .init_container("left-out", &world.image("init"))
        .annotation("kube-autorollout/containers", "app, plain, own, side");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(pins(&world).await, "", "nothing is rolled out to pin");
    let moved = ImageIndex::of([world.version(2)]);
    world.push(&moved, "app").await;
    controller
        .until("a rollout", |metrics| metrics.rollouts("completed") > 0.0)
        .await;
    let digest = fixed.digest();
    let app = format!("{}@{}", world.image("app"), moved.digest());
    let plain = format!("{latest}@{digest}");
    let side = format!("{}@{digest}", world.image("fixed"));
    assert_eq!(
        pins(&world).await,
        format!(r#"{{"app":"{app}","plain":"{plain}","side":"{side}"}}"#)
    );
    let pinned = [("app", app), ("plain", plain), ("side", side), ("own", own)];
    for (container, image) in pinned {
        assert_eq!(images(&world, container).await, [image]);
    }
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    world.push(&world.version(9), "fixed").await;
    controller
        .until("another", |metrics| metrics.rollouts("completed") > 1.0)
        .await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
    let metrics = controller.metrics().await;
    assert_eq!(value(&metrics, "workload_pinned"), Some(1.0));
}

#[tokio::test]
async fn pods_that_no_policy_pins_are_reported_and_roll_nothing_out() {
    let (world, controller) = World::with_web("not-pinned", PINNING).await;
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    let (state, reason) = (State::UpToDate, Reason::NotPinned);
    until_reported(&world, &controller, "web", state, reason).await;
    let note = world.until_event("web", "NotPinned").await;
    assert!(note.contains(&world.image("app")), "{note}");
    world.push(&world.version(3), "app").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 5).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(world.events("web", "NotPinned").await.len(), 1);
    let metrics = controller.metrics().await;
    assert_eq!(value(&metrics, "workload_pinned"), Some(0.0));

    put_in_force(&world).await;
    replace_pods(&world, &world.marker(3), 1).await;
    controller
        .until("pinned pods", |metrics| {
            value(metrics, "workload_pinned") == Some(1.0)
        })
        .await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn pods_to_which_another_policy_gives_another_image_are_reported() {
    let world = World::new("rewritten-pin").await;
    put_in_force(&world).await;
    let (host, own) = (world.testbed.registry().host(), world.namespace.name());
    let mirror = format!("mirror-of-{own}");
    let push = async |version: u32| {
        world.push(&world.version(version), "app").await;
        let image = world.version(version);
        let pushed = world.pusher.push(&image, &mirror, "app").await;
        pushed.expect("pushed");
    };
    push(1).await;
    world.deploy("web", "app").await;
    let controller = world.controller(PINNING).await;
    controller.until_all("UpToDate", 1).await;
    // It drops the digest of what it rewrites
    let from = format!("{host}/{own}:app");
    let policy = ImagePolicy::fill_in("rewrite", &from, &format!("{host}/{mirror}:app"));
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
    push(2).await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    let images = images(&world, "app").await;
    let is_pinned = images.iter().all(|image| image.contains('@'));
    let reported = world.events("web", "NotPinned").await.len();
    assert_eq!(reported, usize::from(!is_pinned), "{images:?}");
    push(3).await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn a_pinned_digest_that_is_gone_is_reported_once_and_rolls_nothing_out() {
    let receiver = Receiver::start().await.expect("a receiver");
    let sink = configuration(&receiver, &["pinnedDigestGone"]);
    let (world, controller) = pinned("pin-gone", &sink).await;
    annotate(&world, "kube-autorollout/hold", Some("true")).await;
    world.push(&world.version(3), "app").await;
    controller.until_all("Held", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(world.events("web", "PinnedDigestGone").await, [""; 0]);
    replace_pods(&world, &world.marker(2), 1).await;
    let registry = world.testbed.registry();
    let (repository, digest) = (world.namespace.name(), world.version(2).digest());
    let deleted = registry.delete_manifest(repository, &digest);
    deleted.expect("deleted");
    let note = world.until_event("web", "PinnedDigestGone").await;
    assert!(note.contains("container app"), "{note}");
    controller.checks("web", 5).await;
    let metrics = controller.until_all("Held", 1).await;
    assert_eq!(value(&metrics, "workload_pinned_digest_gone"), Some(1.0));
    assert_eq!(world.events("web", "PinnedDigestGone").await.len(), 1);
    let [message] = &*messages(&receiver, 1).await else {
        panic!("one message");
    };
    assert_eq!(message["event"], "pinnedDigestGone");
    assert_eq!(message["detail"], note);
    let container = &message["containers"][0];
    assert_eq!(container["image"], world.image("app"));
    assert_eq!(
        container["from"]["digest"],
        digest.to_string(),
        "{message:#}"
    );
    assert_eq!(world.patches(), 1);
    annotate(&world, "kube-autorollout/hold", None).await;
    world.until_running(&world.marker(3), 1).await;
    let gone = |metrics: &_| value(metrics, "workload_pinned_digest_gone") == Some(0.0);
    controller.until("an end", gone).await;
}

#[tokio::test]
async fn pinned_pods_need_no_pull_policy_and_an_edited_image_is_as_without_pins() {
    let (world, controller) = pinned("pin-policy", "").await;
    let change = |container: Value| json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    let image = world.image("app");
    let cached = json!({ "name": "app", "image": image, "imagePullPolicy": "IfNotPresent" });
    world.patch("web", change(cached)).await;
    world.rolled_out("web").await;
    world.push(&world.version(3), "app").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 2);
    assert_eq!(
        world.events("web", "ImagePullPolicyNotAlways").await,
        [""; 0]
    );

    world.push(&world.version(4), "next").await;
    let next = world.image("next");
    let edited = json!({ "name": "app", "image": next, "imagePullPolicy": "Always" });
    world.patch("web", change(edited)).await;
    world.until_running(&world.marker(4), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 3).await;
    assert_eq!(images(&world, "app").await, std::slice::from_ref(&next));
    assert_eq!(world.patches(), 2, "nothing is rolled out to pin it");
    assert_eq!(world.events("web", "NotPinned").await, [""; 0]);
    let metrics = controller.metrics().await;
    assert_eq!(value(&metrics, "workload_pinned"), Some(0.0));
    world.push(&world.version(5), "next").await;
    world.until_running(&world.marker(5), 1).await;
    let pinned = format!("{next}@{}", world.version(5).digest());
    assert_eq!(images(&world, "app").await, [pinned]);
}

/// Pins that are left behind would hold new pods back.
#[tokio::test]
async fn where_pinning_is_switched_off_the_next_rollout_takes_the_pins_away() {
    let (world, controller) = pinned("pin-off", "").await;
    assert_eq!(controller.stop().await, Some(0));
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(3), "app").await;
    world.until_running(&world.marker(3), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(pins(&world).await, "");
    assert_eq!(images(&world, "app").await, [world.image("app")]);
    assert_eq!(world.patches(), 2);
}

/// Ten workloads on two tags, all pinned to what these do not name any more.
#[tokio::test]
async fn a_check_of_held_workloads_costs_one_more_head_for_each_tag() {
    const TICK: &str = "interval: 3s\nlogLevel: info";
    let world = World::new("pin-quiet").await;
    put_in_force(&world).await;
    let tags = ["a", "b"];
    let push = async |version: u32| {
        for (tag, add) in tags.iter().zip([0, 10]) {
            world.push(&world.version(version + add), tag).await;
        }
    };
    push(1).await;
    for number in 0..10 {
        let image = world.image(tags[number % 2]);
        let web = Deployment::named(&format!("web-{number}")).container("app", &image);
        world.create(web.labelled()).await;
    }
    let controller = world.controller(&format!("{PINNING}\n{TICK}")).await;
    controller.until_all("UpToDate", 10).await;
    push(2).await;
    controller
        .until("rollouts", |metrics| metrics.rollouts("completed") >= 10.0)
        .await;
    for number in 0..10 {
        let held = json!({ "metadata": { "annotations": { "kube-autorollout/hold": "true" } } });
        world.patch(&format!("web-{number}"), held).await;
    }
    push(3).await;
    controller.until_all("Held", 10).await;
    controller.checks("web-0", 3).await;
    let heads = || {
        let log = world.testbed.registry().log();
        let requests = log.of_controllers(world.namespace.name());
        let requests = requests.expect("the access log");
        let is_digest = |request: &&kube_autorollout_testbed::registry::Request| {
            request.method == "HEAD" && request.path.contains("sha256:")
        };
        let all = requests.iter().filter(|request| request.method == "HEAD");
        (all.clone().count(), all.filter(is_digest).count())
    };
    let before = (heads(), world.requests().len());
    controller.checks("web-0", 4).await;
    controller.checks("web-9", 1).await;
    let after = (heads(), world.requests().len());
    let (all, by_digest) = (after.0.0 - before.0.0, after.0.1 - before.0.1);
    assert!(by_digest >= 4, "{by_digest}");
    assert!(
        all <= 2 * by_digest + 2,
        "{all} of which {by_digest} by digest"
    );
    assert_eq!(after.1, before.1, "no request to the API server");
}
