//! Registries that fail: nothing is rolled out, the failure is reported, and ends by itself.

use kube_autorollout_testbed::{
    image::{Image, Pusher},
    registry::{ALICE, Access, Registry},
    workload,
};

use crate::harness::{Controller, World};

/// A registry of the test's own, with an image in it, and a Deployment that runs it.
struct Own {
    world: World,
    registry: Registry,
    pusher: Pusher,
}

impl Own {
    async fn new(hint: &str, access: Access) -> Self {
        let world = World::new(hint).await;
        let registry = world
            .testbed
            .start_registry(access)
            .await
            .expect("a registry");
        let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
        let own = Self {
            world,
            registry,
            pusher,
        };
        own.push("1").await;
        let image = format!("{}/app:latest", own.registry.host());
        own.world
            .create(
                workload::Deployment::named("web")
                    .container("app", &image)
                    .labelled(),
            )
            .await;
        own.world.rolled_out("web").await;
        own
    }

    async fn push(&self, version: &str) {
        let image = Image::new(self.marker(version));
        self.pusher
            .push(&image, "app", "latest")
            .await
            .expect("pushed");
    }

    fn marker(&self, version: &str) -> String {
        format!("{}-{version}", self.world.namespace.name())
    }

    /// The fault is reported everywhere, and changes nothing.
    async fn is_told(&self, controller: &Controller, kind: &str, result: &str) {
        controller.until_all("Unknown", 1).await;
        controller
            .until_logged(&["WARN", "container app", kind])
            .await;
        let note = self.world.until_event("web", "RegistryCheckFailed").await;
        assert!(note.contains(kind), "{note}");
        let failed = |metrics: &crate::metrics::Metrics| {
            metrics.sum("registry_requests_total", &[("result", result)]) > 0.0
        };
        controller.until("a failed request", failed).await;
        assert_eq!(self.world.patches(), 0);
        assert_eq!(
            self.world.events("web", "RegistryCheckFailed").await.len(),
            1,
            "one Event an hour"
        );
    }

    /// The next image is rolled out, without a restart of the controller.
    async fn recovers(&self, controller: &Controller) {
        self.push("2").await;
        self.world.until_running(&self.marker("2"), 1).await;
        controller.until_all("UpToDate", 1).await;
        assert_eq!(self.world.patches(), 1);
    }

    fn plain(&self) -> String {
        format!(
            "registries: [{{ hostnamePattern: '{}', plainHttp: true }}]",
            self.registry.host()
        )
    }
}

#[tokio::test]
async fn a_deleted_tag_is_no_reason_to_roll_out() {
    let own = Own::new("deleted", Access::Plain).await;
    let controller = own.world.controller(&own.plain()).await;
    controller.until_all("UpToDate", 1).await;
    own.registry.delete_tag("app", "latest").expect("deleted");
    own.is_told(&controller, "TagNotFound", "TagNotFound").await;
    own.recovers(&controller).await;
}

#[tokio::test]
async fn a_registry_that_is_away_is_no_reason_to_roll_out() {
    let own = Own::new("away-registry", Access::Plain).await;
    let controller = own.world.controller(&own.plain()).await;
    controller.until_all("UpToDate", 1).await;
    own.registry.stop();
    own.is_told(&controller, "Transport", "Transport").await;
    let status = controller.get("/readyz").await;
    assert_eq!(status, 200, "readiness does not depend on registries");
    own.registry.restart().await.expect("restarted");
    own.recovers(&controller).await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_reported_as_such() {
    let own = Own::new("tls", Access::Htpasswd).await;
    let login = format!("username: '{}', token: '{}'", ALICE.name, ALICE.password);
    let entry = format!(
        "hostnamePattern: '{}', secret: {{ {login} }}",
        own.registry.host()
    );
    let controller = own
        .world
        .controller(&format!("registries: [{{ {entry} }}]"))
        .await;
    own.is_told(&controller, "Tls", "Tls").await;
    let log = controller.log();
    assert!(!log.contains(ALICE.password), "no secret in the log");
    drop(controller);

    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, own.registry.ca_certificate()).expect("a file");
    let trusted = format!(
        "registries: [{{ {entry}, caCertificatePaths: ['{}'] }}]",
        ca.display()
    );
    let controller = own.world.controller(&trusted).await;
    controller.until_all("UpToDate", 1).await;
    own.recovers(&controller).await;
}

#[tokio::test]
async fn a_tag_that_is_deleted_keeps_another_container_from_being_rolled_out() {
    let own = Own::new("waiting", Access::Plain).await;
    let world = &own.world;
    let image = |repository: &str| format!("{}/{repository}:latest", own.registry.host());
    let side = |version: &str| Image::new(own.marker(&format!("side-{version}")));
    own.pusher
        .push(&side("1"), "side", "latest")
        .await
        .expect("pushed");
    let two = workload::Deployment::named("two")
        .container("app", &image("app"))
        .container("side", &image("side"));
    world.create(two.labelled()).await;
    world.rolled_out("two").await;
    let controller = world.controller(&own.plain()).await;
    controller.until_all("UpToDate", 2).await;

    own.registry.delete_tag("app", "latest").expect("deleted");
    controller.until_all("Unknown", 2).await;
    own.pusher
        .push(&side("2"), "side", "latest")
        .await
        .expect("pushed");
    controller
        .until_logged(&["decided", "/two ", "Outdated", "WaitingForOtherContainer"])
        .await;
    let metrics = controller.metrics().await;
    assert_eq!(
        metrics.value("workload_outdated", &[("name", "two")]),
        Some(1.0)
    );
    assert_eq!(world.patches(), 0, "new pods could not start");
    own.push("2").await;
    controller.until_all("UpToDate", 2).await;
    assert_eq!(world.patches(), 2, "one for each Deployment");
}

#[tokio::test]
async fn a_repository_that_is_forbidden_to_us_does_not_keep_another_container_from_being_rolled_out()
 {
    let own = Own::new("forbidden", Access::Htpasswd).await;
    let world = &own.world;
    let open = |version: &str| Image::new(own.marker(&format!("open-{version}")));
    world.push(&open("1"), "open").await;
    let closed = format!("{}/app:latest", own.registry.host());
    let both = workload::Deployment::named("both")
        .container("open", &world.image("open"))
        .container("closed", &closed);
    world.create(both.labelled()).await;
    world.rolled_out("both").await;

    // The nodes have a login for the registry of `closed`; the controller has none.
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, own.registry.ca_certificate()).expect("a file");
    let closed = format!(
        "hostnamePattern: '{}', caCertificatePaths: ['{}']",
        own.registry.host(),
        ca.display()
    );
    let open_host = world.testbed.registry().host();
    let registries = format!(
        "registries: [{{ {closed} }}, {{ hostnamePattern: '{open_host}', plainHttp: true }}]"
    );
    let controller = world.controller(&registries).await;
    controller.until_all("Unknown", 2).await;
    world.push(&open("2"), "open").await;
    controller
        .until("a completed rollout", |metrics| {
            metrics.rollouts("triggered") > 0
        })
        .await;
    world.rolled_out("both").await;
    let note = world.until_event("both", "RegistryCheckFailed").await;
    assert!(
        note.contains("closed") && note.contains("Unauthorized"),
        "{note}"
    );
    assert_eq!(world.patches(), 1);
}
