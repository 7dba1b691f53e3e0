//! Manifests that a registry denies by their digests and resolves by their tags: images that a policy blocks.

use std::time::Duration;

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    fault_proxy::{FaultProxy, Mode},
    image::{Content, Image, ImageIndex},
    workload::Deployment,
};

use crate::{
    harness::{Controller, World},
    reported::until_reported,
};

const LOGIN: &str = "registries: [{ hostnamePattern: '127.0.0.1:*', plainHttp: true, \
    secret: { type: Opaque, username: alice, token: alice-secret } }]";

/// A world whose registry is reached through a fault proxy.
struct Policed {
    world: World,
    proxy: FaultProxy,
}

impl Policed {
    async fn new(hint: &str) -> Self {
        let world = World::new(hint).await;
        let proxy = FaultProxy::start(world.testbed.registry().host()).await;
        let proxy = proxy.expect("a proxy");
        Self { world, proxy }
    }

    /// The Deployment `name` on a tag of the world's repository.
    async fn deploy(&self, name: &str, tag: &str) {
        let (host, repository) = (self.proxy.host(), self.world.namespace.name());
        let image = format!("{host}/{repository}:{tag}");
        let deployment = Deployment::named(name).container("app", &image);
        self.world.create(deployment.labelled()).await;
        self.world.rolled_out(name).await;
    }

    /// A controller that has not read the manifest of what runs, as it was up to date at each check.
    async fn controller(&self, workloads: usize, configuration: &str) -> Controller {
        let controller = self.world.controller(configuration).await;
        controller.until_all("UpToDate", workloads).await;
        controller
    }
}

#[tokio::test]
async fn an_image_that_is_blocked_is_replaced_by_the_next_one_and_disturbs_no_other() {
    // Without a login, with one, and with the headers by which a login might be suspended.
    for (hint, login, artifactory) in [
        ("blocked-open", false, false),
        ("blocked-login", true, false),
        ("blocked-jfrog", true, true),
    ] {
        let policed = Policed::new(hint).await;
        let (world, proxy) = (&policed.world, &policed.proxy);
        if login {
            let tokens = proxy.require_tokens(Duration::from_secs(300)).await;
            tokens.expect("a token server");
        }
        if artifactory {
            proxy.send_artifactory_headers();
        }
        let versions = [world.version(1), world.version(2)];
        world.push(&versions[0], "app").await;
        world
            .push(&Image::new(format!("{hint}-other")), "other")
            .await;
        policed.deploy("web", "app").await;
        policed.deploy("other", "other").await;
        let controller = policed.controller(2, if login { LOGIN } else { "" }).await;

        proxy.block(versions[0].root_digest().as_ref());
        world.push(&versions[1], "app").await;
        controller.until_completed(1).await;
        assert!(world.markers().contains(&world.marker(2)), "{hint}");
        controller.checks("web", 2).await;
        controller.checks("other", 2).await;
        let metrics = controller.until_all("UpToDate", 2).await;
        assert_eq!(world.patches(), 1, "{hint}");
        assert!(metrics.sum("credentials_quarantined", &[]) < 1.0, "{hint}");
        let failed = world.events("web", "RegistryCheckFailed").await;
        assert_eq!(failed, [""; 0], "{hint}");
    }
}

#[tokio::test]
async fn an_image_that_was_read_before_it_was_blocked_is_compared_as_it_was() {
    let policed = Policed::new("blocked-later").await;
    let (world, proxy) = (&policed.world, &policed.proxy);
    let attested = |build: &str| ImageIndex::of([world.version(2)]).attested(build);
    world.push(&world.version(1), "app").await;
    policed.deploy("web", "app").await;
    let controller = policed.controller(1, "").await;
    world.push(&attested("build 1"), "app").await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);

    // Only the attestations of the next push are new, and what runs is denied by now.
    proxy.block(attested("build 1").root_digest().as_ref());
    world.push(&attested("build 2"), "app").await;
    let (state, reason) = (State::UpToDate, Reason::IndexChangedOnly);
    until_reported(world, &controller, "web", state, reason).await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn an_image_that_is_blocked_itself_is_not_rolled_out_and_the_event_says_why() {
    let policed = Policed::new("blocked-new").await;
    let (world, proxy) = (&policed.world, &policed.proxy);
    world.push(&world.version(1), "app").await;
    policed.deploy("web", "app").await;
    let controller = policed.controller(1, "").await;
    proxy.block(world.version(2).root_digest().as_ref());
    world.push(&world.version(2), "app").await;
    until_reported(world, &controller, "web", State::Unknown, Reason::Denied).await;
    let note = world.until_event("web", "RegistryCheckFailed").await;
    assert!(note.contains("this manifest alone"), "{note}");
    assert!(note.contains("Xray"), "what the registry says: {note}");
    assert_eq!(world.patches(), 0);
    proxy.unblock(world.version(2).root_digest().as_ref());
    world.until_running(&world.marker(2), 1).await;
    assert_eq!(world.patches(), 1);
}

/// The manifest that the tag names was read before, and that of the image that runs was not: they are of the same image.
#[tokio::test]
async fn while_a_registry_denies_all_manifests_nothing_is_rolled_out() {
    let policed = Policed::new("all-denied").await;
    let (world, proxy) = (&policed.world, &policed.proxy);
    let attested = |build: &str| ImageIndex::of([world.version(1)]).attested(build);
    // A node names an image by the first of its digests: the old one must not be read for the other workload.
    let mut builds = ["build 1", "build 2"].map(attested);
    builds.sort_by_key(|build| build.digest().to_string());
    let [new, old] = builds;
    world.push(&old, "app").await;
    world.push(&world.version(2), "other").await;
    policed.deploy("web", "app").await;
    policed.deploy("other", "other").await;
    let controller = policed.controller(2, "").await;
    world.push(&new, "other").await;
    controller.until_completed(1).await;
    assert_eq!(world.patches(), 1, "of the other one");

    proxy.set(Mode::RefusesDigests);
    world.push(&new, "app").await;
    until_reported(world, &controller, "web", State::Unknown, Reason::Denied).await;
    controller.checks("other", 3).await;
    assert_eq!(world.patches(), 1);
}
