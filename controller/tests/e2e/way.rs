//! Controllers that reach the API server through a forwarder or a gateway.

use std::{path::Path, time::Duration};

use kube_autorollout_testbed::{
    controller::{self, SERVICE_ACCOUNT},
    environment::with_sources,
    forwarder::Forwarder,
    gateway::Gateway,
};

use crate::harness::{Controller, World};

/// A forwarder to the API server.
pub(crate) async fn way(world: &World, round_trip: Duration) -> Forwarder {
    let server = world.testbed.control_plane().address();
    let way = Forwarder::start(server, round_trip).await;
    way.expect("a way")
}

/// A gateway with the rights of the world's controller.
pub(crate) async fn gateway(world: &World) -> Gateway {
    let control_plane = world.testbed.control_plane();
    let kubeconfig = control_plane.kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT);
    let kubeconfig = kubeconfig.await.expect("a kubeconfig");
    Gateway::start(&kubeconfig).await.expect("a gateway")
}

/// [`World::with_web`] with a gateway between the controller and the API server.
pub(crate) async fn behind_gateway(hint: &str) -> (World, Gateway, Controller) {
    let world = World::new(hint).await;
    world.push(&world.version(1), "app").await;
    world.deploy("web", "app").await;
    let gateway = gateway(&world).await;
    let controller = at(&world, gateway.url(), "/readyz", "").await;
    controller.until_all("UpToDate", 1).await;
    (world, gateway, controller)
}

/// A controller that reaches the API server through this forwarder.
pub(crate) async fn behind(world: &World, way: &Forwarder, configuration: &str) -> Controller {
    let url = format!("https://{}", way.host());
    at(world, &url, "/readyz", configuration).await
}

/// A controller for which the API server is at this address, checking every second, once it answers well on the path.
pub(crate) async fn at(
    world: &World,
    url: &str,
    path: &'static str,
    configuration: &str,
) -> Controller {
    let control_plane = world.testbed.control_plane();
    let kubeconfig = control_plane
        .kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT)
        .await
        .expect("a kubeconfig");
    let text = std::fs::read_to_string(&kubeconfig).expect("a kubeconfig");
    let kubeconfig = kubeconfig.with_extension("behind");
    std::fs::write(&kubeconfig, text.replace(control_plane.url(), url)).expect("a file");
    let configuration = complete(configuration);
    let started = controller::Controller::start(
        world.testbed.programs(),
        Path::new(env!("CARGO_BIN_EXE_kube-autorollout")),
        &kubeconfig,
        &configuration,
        path,
        &[],
    );
    let started = started.await;
    Controller(started.unwrap_or_else(|error| panic!("{}", with_sources(&error))))
}

/// A configuration with the lines that it lacks: checking every second, a log of everything, registries on this machine.
pub(crate) fn complete(configuration: &str) -> String {
    let defaults = [
        ("logLevel:", "logLevel: debug"),
        ("interval:", "interval: 1s"),
        (
            "registries:",
            "registries: [{ hostnamePattern: '127.0.0.1:*', plainHttp: true }]",
        ),
    ];
    let missing = defaults
        .iter()
        .filter(|(key, _)| !configuration.contains(key));
    missing.fold(configuration.to_owned(), |text, (_, line)| {
        format!("{line}\n{text}")
    })
}
