//! A registry behind an endpoint: here, a mirror with a login and a path.

use std::fs;

use kube_autorollout_testbed::{
    image::{Content as _, Image, Pusher},
    registry::{ALICE, Access},
    workload,
};
use serde_json::json;

use crate::harness::World;

#[tokio::test]
async fn what_the_endpoint_has_is_rolled_out_and_the_registry_itself_is_not_asked() {
    let world = World::new("endpoint").await;
    let registry = world.testbed.registry();
    let mirror = world.testbed.start_registry(Access::Htpasswd).await;
    let mirror = mirror.expect("a registry");
    let mirrored = format!("mirror/{}", world.namespace.name());
    let pusher = Pusher::new(mirror.access_as(ALICE)).expect("a pusher");
    let catch_up = async |image: &Image| {
        let digest = pusher.push(image, &mirrored, "app").await;
        assert_eq!(digest.expect("pushed"), image.root_digest());
    };
    let [first, second] = [world.version(1), world.version(2)];
    world.push(&first, "app").await;
    catch_up(&first).await;

    let place = format!("{}/mirror", mirror.host());
    let login = json!({ "username": ALICE.name, "password": ALICE.password });
    let secret = json!({ "auths": { &place: login } }).to_string();
    world.secret("mirror", &secret).await;
    let web = workload::Deployment::named("web").container("app", &world.image("app"));
    world.create(web.pull_secret("mirror").labelled()).await;
    world.rolled_out("web").await;

    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, mirror.ca_certificate()).expect("a file");
    let entry = json!({
        "hostnamePattern": registry.host(),
        "endpoint": format!("https://{place}"),
        "caCertificatePaths": [ca],
    });
    let controller = world.controller(&format!("registries: [{entry}]")).await;
    controller.until_all("UpToDate", 1).await;

    world.push(&second, "app").await;
    controller.checks("web", 2).await;
    assert_eq!(world.patches(), 0, "the mirror does not have it yet");
    catch_up(&second).await;
    world.until_running(&world.marker(2), 1).await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);

    let asked = registry.log().of_controllers(world.namespace.name());
    let asked = asked.expect("the access log");
    assert_eq!(asked.len(), 0, "of the registry itself");
    let metrics = controller.metrics().await;
    let of_the_image = [("registry", registry.host())];
    assert!(metrics.sum("registry_requests_total", &of_the_image) > 0.0);
}
