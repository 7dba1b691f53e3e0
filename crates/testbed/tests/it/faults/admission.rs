//! Pods whose images are not those of their workload's template.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::ListParams;
use kube_autorollout_testbed::{admission::ImagePolicy, image::Image, workload};

use crate::nodes::bench::Bench;

#[tokio::test]
async fn pods_get_the_images_that_policies_give_them_and_templates_keep_theirs() {
    let bench = Bench::new("admission").await;
    bench.push(&Image::new("admission"), "stable").await;
    let image = bench.reference("stable");
    let host = format!("{}/", bench.testbed.registry().host());
    let policies = [
        ImagePolicy::mirror("mirror", "ghcr.example/", &host),
        ImagePolicy::fill_in("mesh", "auto", &image),
    ];
    for policy in policies {
        let put = policy.put_in_force(&bench.namespace).await;
        put.expect("a policy in force");
    }
    let original = image.replace(&host, "ghcr.example/");
    let web = workload::Deployment::named("web")
        .sidecar("early", &original)
        .container("app", &original)
        .container("proxy", "auto")
        .container("own", &image);
    bench.create(web).await;
    bench.rolled_out("web").await;
    let pods = bench.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("listed");
    let spec = pods.items[0].spec.as_ref().expect("a spec");
    let init = spec.init_containers.iter().flatten();
    for container in init.chain(&spec.containers) {
        assert_eq!(container.image.as_ref(), Some(&image), "{}", container.name);
    }
    let deployment = bench.namespace.api::<Deployment>().get("web").await;
    let template = deployment
        .expect("a Deployment")
        .spec
        .expect("a spec")
        .template;
    let images: Vec<_> = template
        .spec
        .iter()
        .flat_map(|spec| &spec.containers)
        .collect();
    let images: Vec<_> = images
        .iter()
        .filter_map(|one| one.image.as_deref())
        .collect();
    assert_eq!(images, [original.as_str(), "auto", image.as_str()]);
}
