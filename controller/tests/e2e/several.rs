//! Many workloads at once.

use kube_autorollout_testbed::{image::Image, workload};

use crate::harness::World;

#[tokio::test]
async fn a_hundred_stale_workloads_are_rolled_out_once_each() {
    let world = World::new("hundred").await;
    for tag in 0..10 {
        world
            .push(&Image::new(format!("hundred-{tag}-1")), &format!("t{tag}"))
            .await;
    }
    let name = |number: usize| format!("web-{number}");
    for number in 0..100 {
        let image = world.image(&format!("t{}", number % 10));
        world
            .create(
                workload::Deployment::named(&name(number))
                    .container("app", &image)
                    .labelled(),
            )
            .await;
    }
    for number in 0..100 {
        world.rolled_out(&name(number)).await;
    }
    for tag in 0..10 {
        world
            .push(&Image::new(format!("hundred-{tag}-2")), &format!("t{tag}"))
            .await;
    }
    let controller = world.controller("interval: 2s").await;
    controller.until_completed(100).await;
    controller.until_all("UpToDate", 100).await;
    controller.checks(&name(0), 3).await;
    let patched = world
        .requests()
        .into_iter()
        .filter(|request| request.verb == "patch" && request.code == 200);
    let mut patched: Vec<_> = patched.map(|request| request.name).collect();
    patched.sort();
    let mut expected: Vec<_> = (0..100).map(name).collect();
    expected.sort();
    assert_eq!(patched, expected);
}
