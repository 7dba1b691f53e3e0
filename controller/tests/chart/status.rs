//! What `status` comes to: where people find the page.

use serde_json::{Value, json};

use crate::helm::{Helm, VERSIONS, object};

const PUBLISHED: &str =
    "status: { ingress: { enabled: true, host: rollouts.example.org, annotations: { a: b } } }";

fn render(values: &str) -> Vec<Value> {
    let rendered = Helm::new(VERSIONS[0]).render(values);
    rendered.unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn only_the_paths_of_the_status_are_published() {
    let objects = render(PUBLISHED);
    let ingress = object(&objects, "Ingress", "web-kube-autorollout-status");
    let backend =
        json!({ "service": { "name": "web-kube-autorollout", "port": { "name": "http" } } });
    let path = |path| json!({ "path": path, "pathType": "Exact", "backend": backend });
    let paths = json!({ "paths": [path("/"), path("/status.json")] });
    let rules = json!([{ "host": "rollouts.example.org", "http": paths }]);
    assert_eq!(ingress["spec"], json!({ "rules": rules }));
    assert_eq!(ingress["metadata"]["annotations"], json!({ "a": "b" }));
    let service = object(&objects, "Service", "web-kube-autorollout");
    assert_eq!(service["spec"]["ports"][0]["name"], "http");
    let without_host = "status: { ingress: { enabled: true } }";
    let error = Helm::new(VERSIONS[0]).render(without_host);
    let error = error.expect_err("it has no host");
    assert!(error.contains("status.ingress.host"), "{error}");
}

#[test]
fn the_dashboard_links_to_the_page() {
    let links = |values: &str| {
        let objects = render(&format!("{values}\ngrafanaDashboard: {{ enabled: true }}"));
        let dashboard = object(&objects, "ConfigMap", "web-kube-autorollout-dashboard");
        let text = dashboard["data"]["kube-autorollout.json"].as_str();
        let dashboard: Value = serde_json::from_str(text.expect("text")).expect("JSON");
        assert!(dashboard["panels"].as_array().expect("panels").len() > 5);
        let mut links = dashboard["links"].as_array().expect("links").iter();
        let link = links.find(|link| link["title"] == "Status");
        link.map_or(Value::Null, |link| link["url"].clone())
    };
    assert_eq!(links(""), Value::Null);
    assert_eq!(links(PUBLISHED), "https://rollouts.example.org/");
    assert_eq!(
        links("status: { url: 'https://a.example.org/b/' }"),
        "https://a.example.org/b/"
    );
}

#[test]
fn replicas_that_elect_a_leader_reach_each_other() {
    let policy = "networkPolicy: { enabled: true, from: [{ ipBlock: { cidr: 192.0.2.0/24 } }], egress: { enabled: true } }";
    let rendered = |replicas: u32| {
        let objects = render(&format!("replicaCount: {replicas}\n{policy}"));
        let deployment = object(&objects, "Deployment", "web-kube-autorollout");
        let has_address = deployment.to_string().contains("status.podIP");
        let policy = object(&objects, "NetworkPolicy", "web-kube-autorollout");
        (policy["spec"].clone(), has_address)
    };
    let (two, has_address) = rendered(2);
    assert!(has_address);
    let replicas = json!({ "podSelector": two["podSelector"] });
    assert_eq!(two["ingress"][0]["from"][1], replicas);
    let egress = json!({ "to": [replicas], "ports": [{ "port": 8080 }] });
    assert!(
        two["egress"].as_array().expect("rules").contains(&egress),
        "{two}"
    );
    let (one, has_address) = rendered(1);
    assert!(!has_address);
    assert_eq!(one["ingress"][0]["from"].as_array().map(Vec::len), Some(1));
}
