//! Which credentials registries are sent, and how often; no log shows any.
//!
//! Every controller here logs at `trace`.

mod files;
mod pull_secrets;

use std::fs;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube_autorollout_testbed::{
    image::{Image, Pusher},
    registry::{ALICE, Access, Registry, TokenRequest},
    workload,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::{Controller, World},
    metrics::Metrics,
};

/// A password that no registry accepts.
const WRONG: &str = "planted-wrong-password";

/// `alice:alice-secret` and `alice:planted-wrong-password` as they are sent for Basic authentication.
const LOGINS: [&str; 2] = [
    "YWxpY2U6YWxpY2Utc2VjcmV0",
    "YWxpY2U6cGxhbnRlZC13cm9uZy1wYXNzd29yZA",
];

/// A registry with a login, and what it takes to trust it.
struct Own {
    world: World,
    registry: Registry,
    folder: TempDir,
}

impl Own {
    async fn new(hint: &str, access: Access) -> Self {
        let world = World::new(hint).await;
        let registry = world.testbed.start_registry(access).await;
        let folder = tempfile::tempdir().expect("a folder");
        let own = Self {
            world,
            registry: registry.expect("a registry"),
            folder,
        };
        let ca = own.folder.path().join("ca.crt");
        fs::write(ca, own.registry.ca_certificate()).expect("a file");
        own
    }

    /// An image of this repository, in this version.
    async fn push(&self, repository: &str, version: u32) -> String {
        let pusher = Pusher::new(self.registry.access_as(ALICE)).expect("a pusher");
        let marker = format!("{}-{repository}-{version}", self.world.namespace.name());
        let digest = pusher.push(&Image::new(marker), repository, "latest").await;
        digest.expect("pushed");
        format!("{}/{repository}:latest", self.registry.host())
    }

    /// Workloads `web-0`, `web-1` and so on, each with one of the images in turn, and with these pull Secrets.
    async fn deploy(&self, images: &[String], pull_secrets: &[&str], workloads: usize) {
        for (number, image) in (0..workloads).zip(images.iter().cycle()) {
            let web = workload::Deployment::named(&format!("web-{number}")).container("app", image);
            let web = pull_secrets
                .iter()
                .fold(web, |web, secret| web.pull_secret(secret));
            self.world.create(web.labelled()).await;
        }
        for number in 0..workloads {
            self.world.rolled_out(&format!("web-{number}")).await;
        }
    }

    /// A pull Secret's content with this password of Alice.
    fn docker_config(&self, password: &str) -> String {
        let login = json!({ "username": ALICE.name, "password": password });
        json!({ "auths": { self.registry.host(): login } }).to_string()
    }

    /// A controller that trusts the registry, with this secret configured for it, and that logs everything.
    async fn controller(&self, secret: serde_json::Value) -> Controller {
        let configuration = json!({
            "hostnamePattern": self.registry.host(),
            "caCertificatePaths": [self.folder.path().join("ca.crt")],
            "secret": secret,
        });
        let configuration = format!("logLevel: trace\nregistries: [{configuration}]");
        self.world.controller(&configuration).await
    }

    /// The controller's requests to the token server with a login, oldest first.
    fn logins(&self) -> Vec<TokenRequest> {
        let requests = self.registry.issuer().expect("a token server").requests();
        let ours = requests.into_iter().filter(|request| {
            request.user.is_some() && request.user_agent.starts_with("kube-autorollout/")
        });
        ours.collect()
    }

    /// The status codes of those requests.
    fn verdicts(&self) -> Vec<u16> {
        self.logins().iter().map(|request| request.status).collect()
    }
}

/// Waits for this many more decisions about workloads.
async fn decisions(controller: &Controller, more: usize) {
    let count = |metrics: &Metrics| metrics.sum("reconciliations_total", &[]);
    let more = f64::from(u32::try_from(more).expect("a small number"));
    let enough = count(&controller.metrics().await) + more;
    controller
        .until("more decisions", |metrics| count(metrics) >= enough)
        .await;
}

/// No password, no encoded login and no token is in the log, and it is one of level `trace`.
fn assert_no_secret_in(log: &str) {
    assert!(log.contains(" TRACE "), "the level is trace");
    // Every JSON Web Token begins with the last: those of the token server, and our own for the API server.
    let planted = [ALICE.password, WRONG, LOGINS[0], LOGINS[1], "eyJ"];
    for secret in planted {
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains(secret));
        assert_eq!(line, None, "it holds {secret}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_presented_once_and_a_fixed_one_at_once() {
    const WORKLOADS: usize = 100;
    let own = Own::new("quarantine", Access::Token).await;
    let mut images = Vec::new();
    for repository in ["a", "b", "c", "d"] {
        images.push(own.push(repository, 1).await);
    }
    own.world.secret("login", &own.docker_config(WRONG)).await;
    own.deploy(&images, &["login"], WORKLOADS).await;
    let controller = own.controller(json!({ "type": "None" })).await;
    controller.until_all("Unknown", WORKLOADS).await;
    // Ten ticks and more.
    decisions(&controller, 10 * WORKLOADS).await;
    let metrics = controller.until_all("Unknown", WORKLOADS).await;
    assert_eq!(own.verdicts(), [401], "presented once");
    let registry = [("registry", own.registry.host())];
    assert_eq!(
        metrics.value("credentials_quarantined", &registry),
        Some(1.0)
    );
    controller
        .until_logged(&["WARN", "CredentialQuarantined", "correct the secret"])
        .await;
    controller
        .until_logged(&["DEBUG", "state=Unknown", "CredentialQuarantined"])
        .await;
    let note = own.world.until_event("web-0", "RegistryCheckFailed").await;
    assert!(
        note.contains("CredentialQuarantined") || note.contains("Unauthorized"),
        "{note}"
    );

    let fixed = json!({ "stringData": { ".dockerconfigjson": own.docker_config(ALICE.password) } });
    let secrets = own.world.namespace.api::<Secret>();
    let parameters = PatchParams::default();
    let patched = secrets
        .patch("login", &parameters, &Patch::Merge(fixed))
        .await;
    patched.expect("patched");
    controller.until_all("UpToDate", WORKLOADS).await;
    let verdicts = own.verdicts();
    assert_eq!(verdicts[0], 401);
    assert!(
        verdicts.len() > 1 && verdicts[1..].iter().all(|status| *status == 200),
        "the wrong one was not presented again: {verdicts:?}"
    );
    assert_eq!(own.world.patches(), 0);
    assert_no_secret_in(&controller.log());
}

#[tokio::test]
async fn a_refused_repository_disturbs_no_other_with_the_same_credential() {
    const WORKLOADS: usize = 100;
    let own = Own::new("forbidden", Access::Token).await;
    let allowed = own.push("allowed", 1).await;
    let forbidden = own.push("forbidden", 1).await;
    let mut images = vec![allowed; WORKLOADS - 1];
    images.push(forbidden);
    let login = own.docker_config(ALICE.password);
    own.world.secret("login", &login).await;
    own.deploy(&images, &["login"], WORKLOADS).await;
    own.registry
        .issuer()
        .expect("a token server")
        .forbid("forbidden");

    let controller = own.controller(json!({ "type": "None" })).await;
    let undisturbed = |metrics: &Metrics| {
        let states = metrics.states();
        states.get("UpToDate") == Some(&(WORKLOADS - 1)) && states.get("Unknown") == Some(&1)
    };
    controller.until("all but one", undisturbed).await;
    for tick in 0..5 {
        controller.checks("web-0", 1).await;
        let metrics = controller.metrics().await;
        assert!(undisturbed(&metrics), "{tick}: {}", metrics.summary());
        let quarantined = metrics.sum("credentials_quarantined", &[]);
        assert!(quarantined < 1.0, "the credential is good");
    }
    let last = format!("web-{}", WORKLOADS - 1);
    own.world.until_event(&last, "RegistryCheckFailed").await;
    let scope = "repository:forbidden:pull".to_owned();
    let logins = own.logins();
    let asked = logins.iter().filter(|login| login.scopes.contains(&scope));
    assert!(
        (1..=2).contains(&asked.count()),
        "a token and at most one fresh one: {logins:?}"
    );

    // What the others run is still followed.
    own.push("allowed", 2).await;
    controller.until_completed(WORKLOADS as u64 - 1).await;
    assert_no_secret_in(&controller.log());
}

#[tokio::test]
async fn a_token_server_that_moves_is_followed_without_a_restart() {
    let own = Own::new("realm-moves", Access::Token).await;
    let images = [own.push("before", 1).await, own.push("after", 1).await];
    let login = own.docker_config(ALICE.password);
    own.world.secret("login", &login).await;
    own.deploy(&images[..1], &["login"], 1).await;
    let controller = own.controller(json!({ "type": "None" })).await;
    controller.until_all("UpToDate", 1).await;
    let moved = own.registry.move_issuer().await;
    moved.expect("it names another one");
    // No token is at hand for the new one.
    let web = workload::Deployment::named("web-new").container("app", &images[1]);
    own.world.create(web.pull_secret("login").labelled()).await;
    own.world.rolled_out("web-new").await;
    let metrics = controller.until_all("UpToDate", 2).await;
    assert!(metrics.sum("credentials_quarantined", &[]) < 1.0);
    own.push("after", 2).await;
    controller.until_completed(1).await;
    assert_eq!(own.world.patches(), 1);
    assert_no_secret_in(&controller.log());
}
