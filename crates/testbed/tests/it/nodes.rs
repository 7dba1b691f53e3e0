//! The simulated nodes: what pods report, and what runs in them.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

mod bench;

use std::time::Duration;

use bench::{Bench, SOON};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::api::{DeleteParams, ListParams};
use kube_autorollout_testbed::{
    image::{Behaviour, Content, Image, ImageIndex, Pusher, RegistryAccess},
    node::{Nodes, NodesOptions, Platform, Runtime, Speed},
    registry::{ALICE, Access, Registry},
    workload::{self, eventually},
};

#[tokio::test]
async fn a_deployment_becomes_available_and_shows_the_digest_of_its_tag() {
    let bench = Bench::new("available").await;
    let index = ImageIndex::of([
        Image::new("available").platform("linux", "arm64"),
        Image::new("available"),
    ])
    .attested("build 1");
    bench.push(&index, "stable").await;
    let web = workload::Deployment::named("web").replicas(3);
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    let expected = bench.image_id(&index);
    bench.wait_for_image_id("web", &expected).await;
    let running = bench.running();
    assert_eq!(running.len(), 3);
    for container in running {
        assert_eq!(container.marker, "available");
        assert_eq!(container.image_id, expected);
        assert_eq!(container.pulled_digest, Some(index.digest()));
        assert_eq!(
            container.config_digest,
            Image::new("available").config_digest()
        );
    }
}

#[tokio::test]
async fn a_restart_pulls_what_the_tag_is_now_if_the_policy_says_so() {
    let bench = Bench::new("policy").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    let node = &bench.testbed.nodes().names()[0];
    for (name, policy) in [("always", "Always"), ("present", "IfNotPresent")] {
        let deployment = workload::Deployment::named(name).pull_policy(policy);
        let deployment = deployment.on_node(node).container("app", &image);
        bench.create(deployment).await;
        bench.rolled_out(name).await;
    }
    bench.push(&Image::new("v2"), "stable").await;
    bench.restart("present", "first").await;
    assert_eq!(bench.markers(), ["v1", "v1"]);
    bench.restart("always", "first").await;
    assert_eq!(bench.markers(), ["v2", "v1"]);
    bench.restart("present", "second").await;
    assert_eq!(bench.markers(), ["v2", "v2"], "the other one has pulled it");
}

/// Two indexes of the same image, the one with the smaller digest first.
fn aliases(image: &Image) -> [ImageIndex; 2] {
    let mut aliases = ["build 1", "build 2"].map(|build| {
        let index = ImageIndex::of([image.clone()]);
        index.attested(build)
    });
    aliases.sort_by_key(|index| index.digest().to_string());
    aliases
}

#[tokio::test]
async fn the_image_id_stays_the_smaller_digest_when_a_larger_one_is_pulled() {
    let bench = Bench::new("alias-up").await;
    let [smaller, larger] = aliases(&Image::new("alias-up"));
    bench.push(&smaller, "stable").await;
    let image = bench.reference("stable");
    let node = &bench.testbed.nodes().names()[0];
    let web = workload::Deployment::named("web").on_node(node);
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    bench.push(&larger, "stable").await;
    bench.restart("web", "first").await;
    let running = bench.running();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].pulled_digest, Some(larger.digest()));
    let expected = bench.image_id(&smaller);
    bench.wait_for_image_id("web", &expected).await;
}

#[tokio::test]
async fn the_image_id_of_a_running_container_changes_when_another_pulls_a_smaller_digest() {
    let bench = Bench::new("alias-down").await;
    let [smaller, larger] = aliases(&Image::new("alias-down"));
    bench.push(&larger, "stable").await;
    let image = bench.reference("stable");
    let node = &bench.testbed.nodes().names()[0];
    let deployment = |name| {
        workload::Deployment::named(name)
            .on_node(node)
            .container("app", &image)
    };
    bench.create(deployment("first")).await;
    bench.rolled_out("first").await;
    bench
        .wait_for_image_id("first", &bench.image_id(&larger))
        .await;
    bench.push(&smaller, "stable").await;
    bench.create(deployment("second")).await;
    bench
        .wait_for_image_id("first", &bench.image_id(&smaller))
        .await;
    let restarts = bench
        .observe("first", "a status", |status| Some(status.restart_count))
        .await;
    assert_eq!(restarts, 0);
}

#[tokio::test]
async fn a_failed_pull_heals_by_itself_when_the_tag_appears() {
    let bench = Bench::new("absent").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    let message = bench.wait_for_reason("web", "ErrImagePull").await;
    assert!(message.contains("code = NotFound"), "{message}");
    assert!(
        message.ends_with(&format!("{image}: not found")),
        "{message}"
    );
    bench.wait_for_reason("web", "ImagePullBackOff").await;
    bench.push(&Image::new("v1"), "stable").await;
    bench.rolled_out("web").await;
    assert_eq!(bench.markers(), ["v1"]);
}

#[tokio::test]
async fn a_crash_loop_heals_by_itself_when_the_tag_moves_on() {
    let bench = Bench::new("crash").await;
    let broken = Image::new("v1").behaviour(Behaviour::Crashes);
    bench.push(&broken, "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.wait_for_reason("web", "CrashLoopBackOff").await;
    assert_eq!(bench.markers(), [""; 0]);
    bench.push(&Image::new("v2"), "stable").await;
    bench.rolled_out("web").await;
    assert_eq!(bench.markers(), ["v2"]);
    let restarts = bench
        .observe("web", "a status", |status| Some(status.restart_count))
        .await;
    assert!(restarts > 0);
}

#[tokio::test]
async fn an_index_without_the_platform_of_the_node_cannot_be_pulled() {
    let bench = Bench::new("platform").await;
    let index = ImageIndex::of([Image::new("arm").platform("linux", "arm64")]).attested("build 1");
    bench.push(&index, "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    let message = bench.wait_for_reason("web", "ErrImagePull").await;
    assert!(
        message.contains("no match for platform in manifest"),
        "{message}"
    );
}

#[tokio::test]
async fn a_node_of_another_platform_and_runtime_runs_its_own_image_and_says_so_in_its_own_way() {
    let bench = Bench::new("foreign").await;
    let options = NodesOptions {
        name: "foreign".to_owned(),
        count: 1,
        platform: Platform {
            os: "linux".to_owned(),
            architecture: "arm64".to_owned(),
        },
        runtime: Runtime::CriO,
        schedulable: false,
        ..NodesOptions::default()
    };
    let nodes = Nodes::start(bench.namespace.client(), options).await;
    let nodes = nodes.expect("a node");
    let arm = Image::new("foreign").platform("linux", "arm64");
    let index = ImageIndex::of([Image::new("foreign"), arm.clone()]);
    bench.push(&index, "stable").await;
    let image = bench.reference("stable");
    let web = workload::Deployment::named("web").on_node("foreign-1");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    let running = nodes.running(bench.namespace.name());
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].config_digest, arm.config_digest());
    let digests = [bench.image_id(&index), bench.image_id(&arm)];
    let expected = digests.into_iter().min().expect("two");
    assert_eq!(running[0].image_id, expected);
    bench.wait_for_image_id("web", &expected).await;
}

#[tokio::test]
async fn every_shape_of_an_image_can_be_pushed_and_pulled() {
    let bench = Bench::new("shapes").await;
    let image = |shape: &str| Image::new(format!("shapes, {shape}"));
    let foreign = image("nested").platform("linux", "s390x");
    let shapes: [(&str, Box<dyn Content + Sync>); 6] = [
        ("oci", Box::new(image("oci"))),
        ("docker", Box::new(image("docker").docker())),
        ("zstd", Box::new(image("zstd").zstd())),
        (
            "list",
            Box::new(ImageIndex::of([image("list").docker()]).docker()),
        ),
        (
            "twins",
            Box::new(
                ImageIndex::of([image("twins")])
                    .with_zstd_twins()
                    .attested("build 1"),
            ),
        ),
        (
            "nested",
            Box::new(ImageIndex::of([foreign]).nested(ImageIndex::of([image("nested")]))),
        ),
    ];
    for (shape, content) in &shapes {
        bench.push(&**content, shape).await;
        let deployment = workload::Deployment::named(shape);
        let reference = bench.reference(shape);
        bench.create(deployment.container("app", &reference)).await;
    }
    for (shape, content) in &shapes {
        bench.rolled_out(shape).await;
        bench
            .wait_for_image_id(shape, &bench.image_id(&**content))
            .await;
    }
    let mut expected = shapes.map(|(shape, _)| format!("shapes, {shape}"));
    expected.sort();
    assert_eq!(bench.markers(), expected);
}

#[tokio::test]
async fn a_container_that_crashes_later_completes_its_rollout_first() {
    let bench = Bench::new("later").await;
    let broken = Image::new("later").behaviour(Behaviour::CrashesLater);
    bench.push(&broken, "stable").await;
    let web = workload::Deployment::named("web");
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    bench.wait_for_reason("web", "CrashLoopBackOff").await;
}

#[tokio::test]
async fn a_stopping_pod_runs_on_for_its_grace_period_and_no_longer() {
    let bench = Bench::new("grace").await;
    let options = NodesOptions {
        name: "grace".to_owned(),
        count: 1,
        schedulable: false,
        speed: Speed {
            stop: Duration::from_secs(3600),
            ..Speed::default()
        },
        ..NodesOptions::default()
    };
    let nodes = Nodes::start(bench.namespace.client(), options).await;
    let nodes = nodes.expect("a node");
    bench.push(&Image::new("grace"), "stable").await;
    let web = workload::Deployment::named("web").on_node("grace-1");
    let image = bench.reference("stable");
    bench.create(web.container("app", &image)).await;
    bench.rolled_out("web").await;
    let deployments = bench.namespace.api::<Deployment>();
    let deleted = deployments.delete("web", &DeleteParams::background()).await;
    deleted.expect("deleted");
    let pods = bench.namespace.api::<Pod>();
    let stopping = eventually(SOON, "a stopping pod", async || {
        let pods = pods.list(&ListParams::default()).await.expect("listed");
        let stopping = pods
            .items
            .into_iter()
            .find(|pod| pod.metadata.deletion_timestamp.is_some());
        stopping
            .and_then(|pod| pod.metadata.name)
            .ok_or_else(|| "none".to_owned())
    });
    let stopping = stopping.await.expect("a stopping pod");
    assert_eq!(nodes.running(bench.namespace.name()).len(), 1);
    let parameters = DeleteParams {
        grace_period_seconds: Some(1),
        ..DeleteParams::default()
    };
    pods.delete(&stopping, &parameters).await.expect("deleted");
    let gone = eventually(SOON, "the end of the pod", async || {
        let pod = pods.get_opt(&stopping).await.expect("an answer");
        pod.map_or(Ok(()), |pod| Err(format!("{:?}", pod.metadata)))
    });
    gone.await.expect("the end of the pod");
    assert_eq!(nodes.running(bench.namespace.name()), []);
}

#[tokio::test]
async fn a_loaded_image_runs_without_a_registry_and_reports_its_config() {
    let bench = Bench::new("loaded").await;
    let image = Image::new("loaded");
    let nodes = bench.testbed.nodes();
    let name = "registry.invalid/loaded:v1";
    nodes.preload(name, &image).expect("a reference");
    for policy in ["IfNotPresent", "Never"] {
        let deployment = workload::Deployment::named(&policy.to_lowercase());
        let deployment = deployment.pull_policy(policy).container("app", name);
        bench.create(deployment).await;
    }
    let expected = image.config_digest().to_string();
    bench.wait_for_image_id("ifnotpresent", &expected).await;
    bench.wait_for_image_id("never", &expected).await;
    nodes.remove_image(&image);
    bench.restart_without_wait("never", "first").await;
    bench.wait_for_reason("never", "ErrImageNeverPull").await;
}

#[tokio::test]
async fn a_name_that_is_none_and_a_host_that_nobody_knows_are_told_apart() {
    let bench = Bench::new("names").await;
    let images = [
        ("upper", "UPPER/Case:v1", "InvalidImageName"),
        ("unknown", "registry.invalid/web:v1", "ErrImagePull"),
    ];
    for (name, image, reason) in images {
        bench
            .create(workload::Deployment::named(name).container("app", image))
            .await;
        bench.wait_for_reason(name, reason).await;
    }
}

#[tokio::test]
async fn a_slow_download_is_shown_and_does_not_stop_what_runs() {
    let bench = Bench::new("slow").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.rolled_out("web").await;
    let slow = Image::new("v2").download(Duration::from_secs(3600));
    bench.push(&slow, "stable").await;
    bench.restart_without_wait("web", "first").await;
    bench.wait_for_reason("web", "ContainerCreating").await;
    assert_eq!(bench.markers(), ["v1"]);
    bench.push(&Image::new("v3"), "stable").await;
    bench.restart("web", "second").await;
    let only_new = eventually(SOON, "the old pods gone", async || {
        let markers = bench.markers();
        if markers == ["v3"] {
            Ok(())
        } else {
            Err(format!("{markers:?}"))
        }
    });
    only_new.await.expect("the new image alone");
}

#[tokio::test]
async fn sidecars_run_and_init_containers_end_before_the_others_start() {
    let bench = Bench::new("order").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    let web = workload::Deployment::named("web")
        .init_container("migrate", &image)
        .sidecar("proxy", &image)
        .container("app", &image)
        .container("log", &image);
    bench.create(web).await;
    bench.rolled_out("web").await;
    let names: Vec<_> = bench
        .running()
        .into_iter()
        .map(|found| found.container)
        .collect();
    assert_eq!(names, ["app", "log", "proxy"]);
    let pods = bench.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("listed");
    let status = pods.items[0].status.as_ref().expect("a status");
    let init: Vec<_> = status.init_container_statuses.iter().flatten().collect();
    let state = |status: &ContainerStatus| -> ContainerState { status.state.clone().expect("one") };
    assert!(
        state(init[0])
            .terminated
            .is_some_and(|end| end.exit_code == 0)
    );
    assert!(state(init[1]).running.is_some());
}

#[tokio::test]
async fn a_deleted_pod_is_replaced_and_a_deleted_deployment_leaves_nothing() {
    let bench = Bench::new("deletion").await;
    bench.push(&Image::new("v1"), "stable").await;
    let image = bench.reference("stable");
    bench
        .create(workload::Deployment::named("web").container("app", &image))
        .await;
    bench.rolled_out("web").await;
    let pods = bench.namespace.api::<Pod>();
    for grace in [None, Some(0)] {
        let before = bench.running()[0].pod.clone();
        let parameters = DeleteParams {
            grace_period_seconds: grace,
            ..DeleteParams::default()
        };
        pods.delete(&before, &parameters).await.expect("deleted");
        let replaced = eventually(SOON, "another pod", async || match &*bench.running() {
            [other] if other.pod != before => Ok(()),
            other => Err(format!("{other:?}")),
        });
        replaced.await.expect("another pod");
    }
    let deployments = bench.namespace.api::<Deployment>();
    let deleted = deployments.delete("web", &DeleteParams::background()).await;
    deleted.expect("deleted");
    let empty = eventually(SOON, "no pod", async || {
        let pods = pods.list(&ListParams::default()).await.expect("listed");
        let left = (pods.items.len(), bench.running().len());
        if left == (0, 0) {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    });
    empty.await.expect("no pod");
}

#[tokio::test]
async fn registries_that_ask_who_it_is_serve_pushes_and_pulls() {
    let bench = Bench::new("access").await;
    for (name, access) in [("passwords", Access::Htpasswd), ("tokens", Access::Token)] {
        let registry = Registry::start(bench.testbed.programs(), access).await;
        let registry = registry.expect("a registry");
        let way = RegistryAccess::new(registry.host()).with_ca(registry.ca_certificate());
        let nodes = bench.testbed.nodes();
        nodes.add_registry(way.clone()).expect("a CA certificate");
        let way = way.with_credentials(ALICE.name, ALICE.password);
        let pusher = Pusher::new(way.clone()).expect("a CA certificate");
        let index = ImageIndex::of([Image::new(name)]);
        pusher
            .push(&index, "team/web", "stable")
            .await
            .expect("pushed");
        let image = format!("{}/team/web:stable", registry.host());
        bench
            .create(workload::Deployment::named(name).container("app", &image))
            .await;
        let message = bench.wait_for_reason(name, "ErrImagePull").await;
        assert!(message.contains("401"), "{message}");
        nodes.add_registry(way).expect("a CA certificate");
        bench.rolled_out(name).await;
    }
    assert_eq!(bench.markers(), ["passwords", "tokens"]);
}
