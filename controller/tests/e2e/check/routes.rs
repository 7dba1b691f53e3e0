//! Where images are requested: at endpoints, and through proxies.

use kube_autorollout_testbed::{image::Image, shared};
use serde_json::{Value, json};

use super::{errors, given::Given, push, resolved};

#[tokio::test]
async fn an_image_is_asked_for_at_the_endpoint_and_keeps_its_name() {
    let testbed = shared().await;
    let image = Image::new("check-endpoint");
    push(testbed.registry(), &image, "check-hub/library/web").await;
    let endpoint = format!("http://{}/check-hub", testbed.registry().host());
    let entry = json!({ "hostnamePattern": "docker.io", "endpoint": endpoint });
    let given = Given::new(&json!({ "registries": [entry] }).to_string());
    let (code, list) = given.check_json(&["web"]).await;
    assert_eq!(list, [resolved("web", &image, &Value::Null, "anonymous")]);
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_proxy_is_used_unless_the_host_is_exempt() {
    let testbed = shared().await;
    let image = Image::new("check-proxy");
    let good = push(testbed.registry(), &image, "check-proxy").await;
    let dead = "http://user:planted@127.0.0.1:1";
    // A name that cannot be resolved.
    let elsewhere = "registry.test/app:1";
    let plain = "registries: [{ hostnamePattern: '*', plainHttp: true }]";
    let behind = |name| Given::new(plain).variable(name, dead);
    let is_asked = async |given: Given| {
        let (code, list) = given.check_json(&[&good, elsewhere]).await;
        assert_eq!(code, Some(1), "{list:?}");
        assert_eq!(
            errors(&list, "kind"),
            ["", "Transport"],
            "loopback is direct"
        );
        let detail = list[1].to_string();
        assert!(!detail.contains("planted"), "{detail}");
        detail.contains("the proxy 127.0.0.1:1 cannot be reached")
    };
    for name in ["HTTP_PROXY", "http_proxy"] {
        assert!(is_asked(behind(name)).await);
        for exempt in ["NO_PROXY", "no_proxy"] {
            let given = behind(name).variable(exempt, "*.test");
            assert!(!is_asked(given).await);
        }
    }
    let https = behind("HTTPS_PROXY");
    assert!(!is_asked(https).await, "the registry is plain HTTP's");
}
