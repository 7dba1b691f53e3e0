//! Pods that the chart's policy gives the images that they are pinned to.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use kube_autorollout_testbed::{
    admission::{PINS, PinPolicy},
    image::{Content as _, Image, ImageIndex},
    workload,
};
use serde_json::{Value, json};

use crate::nodes::bench::Bench;

/// A bench in whose namespace pods are pinned.
async fn bench(hint: &str) -> Bench {
    let bench = Bench::new(hint).await;
    let policy = PinPolicy::of_chart().expect("a policy");
    let put = policy.put_in_force(&bench.namespace).await;
    put.unwrap_or_else(|error| panic!("{error:?}"));
    bench
}

/// A digest of nothing in particular.
fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

/// What the API server makes of a pod.
async fn made(bench: &Bench, pod: &Value) -> Pod {
    let pods: Api<Pod> = bench.namespace.api();
    let parameters = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod = serde_json::from_value(pod.clone()).expect("a pod");
    let made = pods.create(&parameters, &pod).await;
    made.unwrap_or_else(|error| panic!("{error}"))
}

fn images(containers: &[Container]) -> Vec<(&str, &str)> {
    let images = containers
        .iter()
        .map(|one| (one.name.as_str(), one.image.as_deref().unwrap_or_default()));
    images.collect()
}

fn pod(pins: &str, containers: &Value) -> Value {
    json!({
        "metadata": { "name": "any", "annotations": { PINS: pins } },
        "spec": { "containers": containers },
    })
}

#[tokio::test]
async fn new_pods_run_the_digest_that_they_are_pinned_to_and_templates_stay_as_they_are() {
    let bench = bench("pinned").await;
    let index = ImageIndex::of([Image::new("pinned-1")]).attested("build 1");
    let manifest = Image::new("pinned-2");
    bench.push(&index, "index").await;
    bench.push(&manifest, "manifest").await;
    let [index_image, manifest_image] = ["index", "manifest"].map(|tag| bench.reference(tag));
    let pin = |image: &str, digest: String| format!("{image}@{digest}");
    let pins = json!({
        "app": pin(&manifest_image, manifest.root_digest().to_string()),
        "early": pin(&index_image, index.root_digest().to_string()),
        "side": pin(&index_image, index.root_digest().to_string()),
    });
    for tag in ["index", "manifest"] {
        bench.push(&Image::new("pinned-moved"), tag).await;
    }
    let web = workload::Deployment::named("web")
        .init_container("early", &index_image)
        .sidecar("side", &index_image)
        .container("free", &manifest_image)
        .container("app", &manifest_image)
        .template_annotation(PINS, &pins.to_string());
    bench.create(web).await;
    bench.rolled_out("web").await;
    let running: Vec<_> = bench.running();
    let running: Vec<_> = running
        .iter()
        .map(|one| (one.container.as_str(), one.marker.as_str()))
        .collect();
    let expected = [
        ("app", "pinned-2"),
        ("free", "pinned-moved"),
        ("side", "pinned-1"),
    ];
    assert_eq!(running, expected);

    let pods = bench.namespace.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.expect("listed");
    let spec = pods.items[0].spec.as_ref().expect("a spec");
    let init = images(spec.init_containers.as_deref().unwrap_or_default());
    let text = |name: &str| pins[name].as_str().expect("a pin").to_owned();
    let (early, side, app) = (text("early"), text("side"), text("app"));
    assert_eq!(init, [("early", &*early), ("side", &*side)]);
    let regular = images(&spec.containers);
    assert_eq!(regular, [("free", &*manifest_image), ("app", &*app)]);
}

#[tokio::test]
async fn a_pin_counts_for_the_very_image_that_it_begins_with() {
    let bench = bench("pins").await;
    let pinned = digest('a');
    let table = [
        ("web", "web", true),
        ("web:1.4", "web:1.4", true),
        (
            "registry.example:5000/team/web",
            "registry.example:5000/team/web",
            true,
        ),
        (
            "registry.example:5000/web:1.4",
            "registry.example:5000/web:1.4",
            true,
        ),
        ("web:1.4", "web:1.5", false), // edited since
        ("web:1.4", "web:1.4.1", false),
        ("web:1.4.1", "web:1.4", false),
        ("web:1.4", "ghcr.io/web:1.4", false), // rewritten by somebody else
        ("web", "web:latest", false),
    ];
    for (pin, image, expected) in table {
        let pins = json!({ "app": format!("{pin}@{pinned}") }).to_string();
        let pod = pod(&pins, &json!([{ "name": "app", "image": image }]));
        let made = made(&bench, &pod).await.spec.expect("a spec");
        let expected = if expected {
            format!("{image}@{pinned}")
        } else {
            image.to_owned()
        };
        assert_eq!(images(&made.containers), [("app", &*expected)], "{pin}");
    }
}

#[tokio::test]
async fn containers_without_a_pin_of_their_own_keep_their_image_and_their_place() {
    let bench = bench("places").await;
    let (own, pinned) = (digest('b'), digest('a'));
    let pins = json!({
        "app": format!("web:1@{pinned}"),
        "last": format!("web:1@{pinned}"),
        "own": format!("web:1@{pinned}"),
        "gone": format!("web:1@{pinned}"),
    });
    let own_image = format!("web:1@{own}");
    let duplicates = json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    let ports = json!([{ "containerPort": 53, "protocol": "TCP" }, { "containerPort": 53, "protocol": "UDP" }]);
    let pod = pod(
        &pins.to_string(),
        &json!([
            { "name": "zero", "image": "web:1" },
            { "name": "my-app", "image": "web:1" },
            { "name": "app", "image": "web:1", "env": duplicates, "ports": ports },
            { "name": "own", "image": own_image },
            { "name": "last", "image": "web:1" },
        ]),
    );
    let made = made(&bench, &pod).await.spec.expect("a spec");
    let with_pin = format!("web:1@{pinned}");
    let expected = [
        ("zero", "web:1"),
        ("my-app", "web:1"),
        ("app", &with_pin),
        ("own", &own_image),
        ("last", &with_pin),
    ];
    assert_eq!(images(&made.containers), expected);
    let app = json!(made.containers[2]);
    assert_eq!(app["env"], duplicates);
    assert_eq!(app["ports"], ports);
}

#[tokio::test]
async fn pods_that_disable_pins_or_have_malformed_ones_start_as_without_them() {
    let bench = bench("unpinned").await;
    let pinned = format!("web:1@{}", digest('a'));
    let containers = json!([{ "name": "app", "image": "web:1" }]);
    let good = json!({ "app": pinned }).to_string();
    let excluded = json!({
        "metadata": { "name": "any", "annotations": { PINS: good, "kube-autorollout/pin": "false" } },
        "spec": { "containers": containers },
    });
    let without = json!({ "metadata": { "name": "any" }, "spec": { "containers": containers } });
    let short = json!({ "app": "web:1@sha256:abc" }).to_string();
    // What stands behind a digest that is too short must not be taken for the rest of it
    let followed = json!({ "app": "web:1@sha256:abc", "other": pinned }).to_string();
    let others = [
        "",
        "{}",
        "nonsense",
        &short,
        &followed,
        r#"{"app":"web:1"}"#,
    ];
    let others = others.map(|pins| pod(pins, &containers));
    for pod in others.into_iter().chain([excluded, without]) {
        let made = made(&bench, &pod).await.spec.expect("a spec");
        assert_eq!(images(&made.containers), [("app", "web:1")], "{pod}");
    }
    let made = made(&bench, &pod(&good, &containers)).await;
    let spec = made.spec.expect("a spec");
    assert_eq!(images(&spec.containers), [("app", &*pinned)]);
}
