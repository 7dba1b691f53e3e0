//! The simulated nodes: what pods report, and what runs in them.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, ContainerStatus, Pod},
};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube_autorollout_testbed::{
    Namespace, Testbed,
    image::{Behaviour, Content, Image, ImageIndex, Pusher, RegistryAccess},
    node::{Nodes, NodesOptions, Platform, RunningContainer, Runtime},
    registry::{ALICE, Access, Registry},
    shared, workload,
    workload::{eventually, rolled_out},
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

/// A namespace with a repository of the same name in the testbed's plain registry.
struct Bench {
    testbed: &'static Testbed,
    namespace: Namespace,
    pusher: Pusher,
}

impl Bench {
    async fn new(hint: &str) -> Self {
        let testbed = shared().await;
        Self {
            testbed,
            namespace: testbed.namespace(hint).await.expect("a namespace"),
            pusher: Pusher::new(testbed.registry().host()).expect("a pusher"),
        }
    }

    /// The reference of this bench's own repository with a tag.
    fn reference(&self, tag: &str) -> String {
        let host = self.testbed.registry().host();
        format!("{host}/{}:{tag}", self.namespace.name())
    }

    async fn push(&self, content: &(impl Content + Sync), tag: &str) {
        let pushed = self.pusher.push(content, self.namespace.name(), tag).await;
        assert_eq!(pushed.expect("pushed"), content.root_digest());
    }

    async fn create(&self, deployment: workload::Deployment) {
        let client = self.namespace.client();
        let created = deployment.create(&client, self.namespace.name()).await;
        created.expect("created");
    }

    async fn rolled_out(&self, name: &str) {
        let deployments = self.namespace.api::<Deployment>();
        let complete = rolled_out(&deployments, name, SOON).await;
        complete.expect("a complete rollout");
    }

    /// `kubectl rollout restart`, and the wait for its end.
    async fn restart(&self, name: &str, attempt: &str) {
        self.restart_without_wait(name, attempt).await;
        self.rolled_out(name).await;
    }

    async fn restart_without_wait(&self, name: &str, attempt: &str) {
        let annotations = json!({ "test/restart": attempt });
        let template = json!({ "metadata": { "annotations": annotations } });
        let patch = Patch::Merge(json!({ "spec": { "template": template } }));
        let deployments = self.namespace.api::<Deployment>();
        let patched = deployments
            .patch(name, &PatchParams::default(), &patch)
            .await;
        patched.expect("patched");
    }

    fn running(&self) -> Vec<RunningContainer> {
        self.testbed.nodes().running(self.namespace.name())
    }

    fn markers(&self) -> Vec<String> {
        let running = self.running();
        running.into_iter().map(|found| found.marker).collect()
    }

    /// The status of the one container of the one pod of an application, once `read` finds something in it.
    async fn observe<T>(
        &self,
        application: &str,
        what: &str,
        read: impl Fn(&ContainerStatus) -> Option<T>,
    ) -> T {
        let pods = self.namespace.api::<Pod>();
        let parameters = ListParams::default().labels(&format!("app={application}"));
        let found = eventually(SOON, what, async || {
            let pods = pods
                .list(&parameters)
                .await
                .map_err(|error| error.to_string())?;
            let statuses = pods.items.iter().filter_map(|pod| pod.status.as_ref());
            let mut statuses =
                statuses.flat_map(|status| status.container_statuses.iter().flatten());
            let found = statuses.find_map(&read);
            found.ok_or_else(|| serde_json::to_string(&pods.items).expect("JSON"))
        });
        found.await.expect(what)
    }

    async fn wait_for_reason(&self, application: &str, reason: &str) -> String {
        self.observe(application, reason, |status| {
            let waiting = status.state.as_ref()?.waiting.as_ref()?;
            let message = waiting.message.clone().unwrap_or_default();
            (waiting.reason.as_deref() == Some(reason)).then_some(message)
        })
        .await
    }

    async fn wait_for_image_id(&self, application: &str, expected: &str) {
        let what = format!("the image ID {expected}");
        self.observe(application, &what, |status| {
            (status.image_id == expected).then_some(())
        })
        .await;
    }

    /// The `imageID` that names this content in this bench's repository.
    fn image_id(&self, content: &impl Content) -> String {
        let host = self.testbed.registry().host();
        let name = self.namespace.name();
        format!("{host}/{name}@{}", content.root_digest())
    }
}

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
