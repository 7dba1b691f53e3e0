//! Pull Secrets that cannot be used.

use k8s_openapi::api::core::v1::Secret;
use kube_autorollout_testbed::registry::{ALICE, Access};
use serde_json::json;

use super::{Own, WRONG, assert_no_secret_in};
use crate::way::{at, gateway};

#[tokio::test]
async fn a_malformed_pull_secret_is_reported_and_the_next_one_used() {
    let own = Own::new("malformed", Access::Htpasswd).await;
    let image = own.push("app", 1).await;
    let broken = json!({ "auths": { own.registry.host(): { "auth": WRONG } } }).to_string();
    own.world.secret("broken", &broken).await;
    let login = own.docker_config(ALICE.password);
    own.world.secret("login", &login).await;
    own.deploy(&[image], &["broken", "missing", "login"], 1)
        .await;
    let controller = own.controller(json!({ "type": "None" })).await;
    controller.until_all("UpToDate", 1).await;
    for (name, why) in [("broken", "malformed"), ("missing", "does not exist")] {
        let name = format!("pull Secret {}/{name}", own.world.namespace.name());
        controller
            .until_logged(&["WARN", &name, "is not used", why])
            .await;
    }
    controller.checks("web-0", 3).await;
    let log = controller.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("pull Secret"))
        .count();
    assert_eq!(warnings, 2, "each is reported once");
    assert_no_secret_in(&log);
}

#[tokio::test]
async fn a_pull_secret_that_cannot_be_read_is_reported_without_what_it_holds() {
    let own = Own::new("unreadable-secret", Access::Htpasswd).await;
    let image = own.push("app", 1).await;
    let login = own.docker_config(ALICE.password);
    own.world.secret("login", &login).await;
    own.deploy(&[image], &["login"], 1).await;
    let gateway = gateway(&own.world).await;
    gateway.change("secrets", "login", "/type", json!(7));
    let host = own.registry.host();
    let ca = own.folder.path().join("ca.crt");
    let registries = json!([{ "hostnamePattern": host, "caCertificatePaths": [ca] }]);
    let configuration = format!("logLevel: trace\nregistries: {registries}");
    let controller = at(&own.world, gateway.url(), "/readyz", &configuration).await;
    controller.until_all("Unknown", 1).await;
    controller
        .until_logged(&["WARN", "/login is not used", "invalid type"])
        .await;
    gateway.leave("secrets", "login");
    controller.until_all("UpToDate", 1).await;
    let log = controller.log();
    assert_no_secret_in(&log);
    let secret = own.world.namespace.api::<Secret>().get("login").await;
    let sent = serde_json::to_value(secret.expect("it is there")).expect("JSON");
    let encoded = sent["data"][".dockerconfigjson"].as_str().expect("base64");
    assert!(!log.contains(encoded), "as the API server sends it");
}
