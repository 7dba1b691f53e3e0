//! Which image runs, and its `imageID`.

use kube_autorollout_testbed::{
    image::{Content, Image, ImageIndex},
    node::{Nodes, NodesOptions, Platform, Runtime, Scheduling},
    workload,
};

use super::bench::Bench;

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
        scheduling: Scheduling::Closed,
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
