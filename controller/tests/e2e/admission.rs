//! Pods that admission gives other images than their template has.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, ListParams};
use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    admission::ImagePolicy,
    image::{Image, Pusher},
    registry::{ALICE, Access, Registry},
    workload::Deployment,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::World,
    reported::{until_decided, until_reported},
};

/// A registry that cannot be reached: images that only the template names cannot be pulled.
const UNREACHABLE: &str = "ghcr.invalid/team/";

/// A registry with a login, and what it takes to trust it.
struct Private {
    registry: Registry,
    folder: TempDir,
}

impl Private {
    async fn new(world: &World) -> Self {
        let registry = world.testbed.start_registry(Access::Htpasswd).await;
        let private = Self {
            registry: registry.expect("a registry"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let certificate = private.registry.ca_certificate();
        std::fs::write(private.folder.path().join("ca.crt"), certificate).expect("a file");
        private
    }

    fn configuration(&self) -> String {
        let ca = self.folder.path().join("ca.crt");
        let entry = json!({ "hostnamePattern": self.registry.host(), "caCertificatePaths": [ca] });
        format!("registries: [{entry}]")
    }

    async fn push(&self, image: &Image, repository: &str) {
        let pusher = Pusher::new(self.registry.access_as(ALICE)).expect("a pusher");
        let digest = pusher.push(image, repository, "main").await;
        digest.expect("pushed");
    }

    /// How many requests for this repository controllers sent.
    fn asked(&self, repository: &str) -> usize {
        let requests = self.registry.log().of_controllers(repository);
        requests.expect("the access log").len()
    }
}

async fn put_in_force(world: &World, policy: &ImagePolicy) {
    let put = policy.put_in_force(&world.namespace).await;
    put.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn an_image_that_a_mirror_serves_is_asked_for_there_with_the_pods_own_secret() {
    let world = World::new("mirrored").await;
    let mirror = Private::new(&world).await;
    let to = format!("{}/ghcr/", mirror.registry.host());
    put_in_force(&world, &ImagePolicy::mirror("mirror", UNREACHABLE, &to)).await;
    mirror.push(&world.version(1), "ghcr/app").await;
    world
        .secret("mirror", &mirror.registry.docker_config(ALICE))
        .await;
    let web = Deployment::named("web")
        .container("app", &format!("{UNREACHABLE}app:main"))
        .pull_secret("mirror");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller(&mirror.configuration()).await;
    controller.until_all("UpToDate", 1).await;
    mirror.push(&world.version(2), "ghcr/app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
    assert!(!controller.log().contains("ghcr.invalid"));
    assert_eq!(world.events("web", "RegistryCheckFailed").await, [""; 0]);
}

#[tokio::test]
async fn pods_of_before_and_after_a_rewrite_are_each_compared_with_what_they_name() {
    let world = World::new("rewritten").await;
    let (host, own) = (world.testbed.registry().host(), world.namespace.name());
    let mirror = format!("mirror-of-{own}");
    // The same content under another digest, as a mirror that builds its own index has it.
    let mirrored = |version| world.version(version).annotation("mirrored", "true");
    let push = async |version: u32| {
        world.push(&world.version(version), "app").await;
        let pushed = world.pusher.push(&mirrored(version), &mirror, "app").await;
        pushed.expect("pushed");
    };
    push(1).await;
    world.deploy("web", "app").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;

    let [from, to] = [own, &mirror].map(|repository| format!("{host}/{repository}:"));
    put_in_force(&world, &ImagePolicy::mirror("mirror", &from, &to)).await;
    world
        .patch("web", json!({ "spec": { "replicas": 2 } }))
        .await;
    world.rolled_out("web").await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 0);

    push(2).await;
    world.until_running(&world.marker(2), 2).await;
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn an_image_that_a_mesh_fills_in_is_what_the_pods_name() {
    let world = World::new("auto").await;
    world.push(&world.version(1), "app").await;
    let proxy = |version: u32| Image::new(format!("auto-proxy-{version}"));
    world.push(&proxy(1), "proxy").await;
    put_in_force(
        &world,
        &ImagePolicy::fill_in("mesh", "auto", &world.image("proxy")),
    )
    .await;
    let web = Deployment::named("web")
        .container("app", &world.image("app"))
        .container("istio-proxy", "auto");
    world.create(web.labelled()).await;
    world.rolled_out("web").await;
    let controller = world.controller("").await;
    controller.until_all("UpToDate", 1).await;
    world.push(&world.version(2), "app").await;
    controller.until_completed(1).await;
    world.push(&proxy(2), "proxy").await;
    controller.until_completed(2).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 2);
    assert!(!controller.log().contains("docker.io"));
}

#[tokio::test]
async fn a_container_that_admission_names_by_digest_is_pinned() {
    let world = World::new("admission-pin").await;
    let image = world.version(1);
    world.push(&image, "app").await;
    let tagged = world.image("app");
    let pinned = format!("{tagged}@{}", image.digest());
    put_in_force(&world, &ImagePolicy::fill_in("pin", &tagged, &pinned)).await;
    world.deploy("web", "app").await;
    world.push(&world.version(2), "app").await;
    let controller = world.controller("").await;
    let (state, reason) = (State::Skipped, Reason::Pinned);
    until_reported(&world, &controller, "web", state, reason).await;
    until_decided(&controller, 2).await;
    assert_eq!(world.patches(), 0);
}

#[tokio::test]
async fn no_registry_is_asked_while_no_pod_is_known() {
    let world = World::new("podless").await;
    let private = Private::new(&world).await;
    private.push(&world.version(1), "app").await;
    world
        .secret("login", &private.registry.docker_config(ALICE))
        .await;
    let limited = world.namespace.limit("pods", 0).await;
    limited.expect("a quota");
    let image = format!("{}/app:main", private.registry.host());
    let web = Deployment::named("web")
        .container("app", &image)
        .pull_secret("login");
    world.create(web.labelled()).await;
    let controller = world.controller(&private.configuration()).await;
    until_decided(&controller, 4).await;
    assert_eq!(private.asked("/app/"), 0);
    assert_eq!(world.events("web", "RegistryCheckFailed").await, [""; 0]);

    let quotas = world.namespace.api::<ResourceQuota>();
    let all = ListParams::default();
    let lifted = quotas
        .delete_collection(&DeleteParams::default(), &all)
        .await;
    lifted.expect("deleted");
    world.rolled_out("web").await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.events("web", "RegistryCheckFailed").await, [""; 0]);
    assert_eq!(world.patches(), 0);
}
