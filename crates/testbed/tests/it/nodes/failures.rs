//! What does not run, why, and what makes it run after all.

use kube_autorollout_testbed::{
    image::{Behaviour, Image, ImageIndex, Pusher, RegistryAccess},
    registry::{ALICE, Access, Registry},
    workload,
};

use super::bench::Bench;

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
async fn a_name_that_is_none_and_a_host_that_nobody_knows_have_messages_of_their_own() {
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
