//! Nodes that pull through a mirror which is behind.

use kube_autorollout_testbed::{
    image::Image,
    mirror::Mirror,
    node::{NodesOptions, Scheduling},
    workload,
};

use crate::nodes::bench::Bench;

#[tokio::test]
async fn a_mirror_that_lags_gives_out_what_it_had_until_it_catches_up() {
    let bench = Bench::new("mirror").await;
    let options = NodesOptions {
        name: "mirror".to_owned(),
        count: 1,
        scheduling: Scheduling::Pool,
        ..NodesOptions::default()
    };
    let nodes = bench.testbed.start_nodes(options).await.expect("a node");
    let host = bench.testbed.registry().host();
    let mirror = Mirror::start(host).await;
    let mirror = mirror.expect("a mirror");
    let set = nodes.pull_through(host, Some(mirror.access()));
    set.expect("plain HTTP");
    let markers = || {
        let running = nodes.running(bench.namespace.name()).into_iter();
        running.map(|one| one.marker).collect::<Vec<_>>()
    };
    let old = Image::new("mirror-1");
    bench.push(&old, "stable").await;
    let web = workload::Deployment::named("web").container("app", &bench.reference("stable"));
    bench.create(web.on_pool("mirror")).await;
    bench.rolled_out("web").await;

    mirror.lag();
    bench.push(&Image::new("mirror-2"), "stable").await;
    bench.restart("web", "behind").await;
    bench.wait_for_image_id("web", &bench.image_id(&old)).await;
    assert_eq!(markers(), ["mirror-1"]);

    mirror.catch_up();
    bench.restart("web", "with the registry").await;
    bench.running_only(&nodes, "mirror-2").await;
    mirror.lag();
    nodes.pull_through(host, None).expect("plain HTTP");
    bench.push(&Image::new("mirror-3"), "stable").await;
    bench.restart("web", "without a mirror").await;
    bench.running_only(&nodes, "mirror-3").await;
}
