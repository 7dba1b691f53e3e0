//! What `hints` comes to: who may send them and where they arrive.

use kube_autorollout_hints::Sender;
use serde_json::{Value, json};

use crate::{
    configuration::Rendered,
    helm::{Helm, VERSIONS, names, object},
};

/// One receiver of each kind of authentication.
const RECEIVERS: &str = "
hints:
  port: 9081
  receivers:
    - { name: ci, type: generic, mayWait: true, images: ['ghcr.io/team/*'], oidc: { issuer: 'https://gitlab.com', claims: { namespace_path: team } } }
    - { name: registry, type: distribution, secret: { name: hints, key: new }, previousSecret: { name: hints, key: old }, registryHost: 'registry.example.org:5000' }
    - { name: hub, type: dockerhub, secretFile: /etc/secrets/hub, repositoryPrefix: docker-hub }
    - { name: art, type: artifactory, secret: { name: art, key: token }, repositories: { docker-local: art.example.org/docker } }
";

fn render(values: &str) -> Vec<Value> {
    let rendered = Helm::new(VERSIONS[0]).render(values);
    rendered.unwrap_or_else(|error| panic!("{error}"))
}

fn pod(objects: &[Value]) -> &Value {
    &object(objects, "Deployment", "web-kube-autorollout")["spec"]["template"]["spec"]
}

#[test]
fn receivers_reach_the_binary_with_their_secrets_as_files() {
    let rendered = Rendered::of(RECEIVERS);
    rendered.is_read();
    let hints = &rendered.configuration()["hints"];
    assert_eq!(hints["port"], 9081);
    let registry = json!({
        "name": "registry",
        "type": "distribution",
        "secretFile": "/etc/kube-autorollout/hints/registry/secret",
        "previousSecretFile": "/etc/kube-autorollout/hints/registry/previous",
        "registryHost": "registry.example.org:5000",
    });
    assert_eq!(hints["receivers"][1], registry);
    assert_eq!(hints["receivers"][2]["secretFile"], "/etc/secrets/hub");
    let objects = render(RECEIVERS);
    let pod = pod(&objects);
    let volumes = pod["volumes"].as_array().expect("volumes");
    let volume = volumes.iter().find(|volume| volume["name"] == "hints");
    let file = |secret: &str, key: &str, path: &str| json!({ "secret": { "name": secret, "items": [{ "key": key, "path": path }] } });
    let expected = json!([
        file("hints", "new", "registry/secret"),
        file("hints", "old", "registry/previous"),
        file("art", "token", "art/secret"),
    ]);
    assert_eq!(volume.expect("a volume")["projected"]["sources"], expected);
}

#[test]
fn a_receiver_opens_a_port_of_the_pod_and_of_the_service_and_names_the_address_of_the_pod() {
    let ports = |values: &str| {
        let objects = render(values);
        let names = |ports: &Value| {
            let ports = ports.as_array().into_iter().flatten();
            ports.map(|port| port["name"].clone()).collect::<Value>()
        };
        let container = &pod(&objects)["containers"][0];
        let service = objects.iter().find(|object| object["kind"] == "Service");
        let service = service.map(|service| names(&service["spec"]["ports"]));
        let has_address = container["env"].to_string().contains("status.podIP");
        (names(&container["ports"]), service, has_address)
    };
    let service = "\nservice: { enabled: true }";
    assert_eq!(ports("{}"), (json!(["http"]), None, false));
    assert_eq!(
        ports(service),
        (json!(["http"]), Some(json!(["http"])), false)
    );
    let both = json!(["http", "hints"]);
    assert_eq!(
        ports(RECEIVERS),
        (both.clone(), Some(json!(["hints"])), true)
    );
    let with_service = ports(&format!("{RECEIVERS}{service}"));
    assert_eq!(with_service, (both.clone(), Some(both), true));
}

#[test]
fn without_receivers_nothing_is_about_hints() {
    let objects = render("{ hints: { port: 9081 }, networkPolicy: { enabled: true } }");
    let text = json!(objects).to_string();
    assert!(!text.contains("hints"), "{text}");
}

#[test]
fn only_the_path_of_hints_is_published() {
    let publish = "
  ingress: { enabled: true, host: hints.example.org, className: nginx, tlsSecretName: tls, annotations: { a: b } }
  httpRoute: { enabled: true, parentRefs: [{ name: public }], hostnames: [hints.example.org], timeouts: { request: 16m } }
service: { hintsPort: 80 }";
    let objects = render(&format!("{RECEIVERS}{publish}"));
    let ingress = object(&objects, "Ingress", "web-kube-autorollout-hints");
    let backend =
        json!({ "service": { "name": "web-kube-autorollout", "port": { "name": "hints" } } });
    let paths = json!([{ "path": "/hooks/", "pathType": "Prefix", "backend": backend }]);
    let expected = json!({
        "ingressClassName": "nginx",
        "tls": [{ "hosts": ["hints.example.org"], "secretName": "tls" }],
        "rules": [{ "host": "hints.example.org", "http": { "paths": paths } }],
    });
    assert_eq!(ingress["spec"], expected);
    assert_eq!(ingress["metadata"]["annotations"], json!({ "a": "b" }));
    let route = object(&objects, "HTTPRoute", "web-kube-autorollout-hints");
    let rule = json!({
        "matches": [{ "path": { "type": "PathPrefix", "value": "/hooks/" } }],
        "timeouts": { "request": "16m" },
        "backendRefs": [{ "name": "web-kube-autorollout", "port": 80 }],
    });
    let expected = json!({
        "parentRefs": [{ "name": "public" }],
        "hostnames": ["hints.example.org"],
        "rules": [rule],
    });
    assert_eq!(route["spec"], expected);
    let service = object(&objects, "Service", "web-kube-autorollout");
    assert_eq!(service["spec"]["ports"][0]["port"], 80);
    let closed = names(&render(RECEIVERS));
    assert!(
        !closed.contains("Ingress") && !closed.contains("HTTPRoute"),
        "{closed}"
    );
}

#[test]
fn the_network_policy_permits_senders_and_the_other_replicas() {
    let policy = |more: &str| {
        let values = format!(
            "{RECEIVERS}{more}\nnetworkPolicy: {{ enabled: true, from: [{{ podSelector: {{}} }}], egress: {{ enabled: true }} }}"
        );
        let objects = render(&values);
        object(&objects, "NetworkPolicy", "web-kube-autorollout")["spec"].clone()
    };
    let everybody = policy("");
    assert_eq!(
        everybody["ingress"][1],
        json!({ "ports": [{ "port": "hints" }] })
    );
    let limited = policy("\n  from: [{ ipBlock: { cidr: 192.0.2.0/24 } }]");
    let replicas = json!({ "podSelector": limited["podSelector"] });
    let from = json!([{ "ipBlock": { "cidr": "192.0.2.0/24" } }, replicas]);
    assert_eq!(
        limited["ingress"][1],
        json!({ "ports": [{ "port": "hints" }], "from": from })
    );
    let egress = json!({ "to": [replicas], "ports": [{ "port": 9081 }] });
    let rules = limited["egress"].as_array().expect("rules");
    assert!(rules.contains(&egress), "{rules:?}");
}

#[test]
fn the_chart_knows_every_sender() {
    for sender in Sender::ALL {
        let more = match sender {
            Sender::Artifactory => ", repositories: { a: art.example.org }",
            _ => "",
        };
        let values = format!(
            "hints: {{ receivers: [{{ name: a, type: {}, secretFile: /etc/secrets/a{more} }}] }}",
            sender.as_str()
        );
        Rendered::of(&values).is_read();
    }
}

#[test]
fn receivers_that_the_controller_would_refuse_are_refused_with_the_way_out() {
    let table = [
        ("[{ name: a, type: harbor }]", "set secret"),
        ("[{ name: a, type: generic }]", "or oidc"),
        ("[{ type: harbor, secretFile: /a }]", "name"),
        ("[{ name: a, secretFile: /a }]", "type"),
        ("[{ name: A, type: harbor, secretFile: /a }]", "name"),
        (
            "[{ name: a, type: nexus, secretFile: /a }]",
            "'distribution'",
        ),
        (
            "[{ name: a, type: quay, secretFile: /a }, { name: a, type: acr, secretFile: /a }]",
            "receivers[1].name is a, as that of hints.receivers[0]",
        ),
        ("[{ name: a, type: quay, secret: { name: a } }]", "key"),
        (
            "[{ name: a, type: quay, secretFile: /a, secret: { name: a, key: b } }]",
            "both secret and secretFile",
        ),
        (
            "[{ name: a, type: generic, oidc: { issuer: 'https://a', claims: { b: c } }, previousSecret: { name: a, key: b } }]",
            "set secret as well",
        ),
        (
            "[{ name: a, type: generic, oidc: { issuer: 'https://a', claims: {} } }]",
            "claims",
        ),
        (
            "[{ name: a, type: quay, secretFile: /a, mayWait: true }]",
            "mayWait is only for the type generic",
        ),
        (
            "[{ name: a, type: quay, secretFile: /a, oidc: { issuer: 'https://a', claims: { b: c } } }]",
            "oidc is only for the type generic",
        ),
        (
            "[{ name: a, type: artifactory, secretFile: /a }]",
            "needs repositories",
        ),
        ("[{ name: a, type: quay, secret_file: /a }]", "secret_file"),
    ];
    are_refused(&table);
}

#[test]
fn a_port_or_a_host_that_leads_nowhere_is_refused_with_the_way_out() {
    let table = [
        (
            "[{ name: a, type: quay, secretFile: /a }], port: 8080",
            "hints.port is 8080",
        ),
        ("[], ingress: { enabled: true, host: a }", "hints.receivers"),
        (
            "[{ name: a, type: quay, secretFile: /a }], ingress: { enabled: true }",
            "hints.ingress.host",
        ),
        (
            "[{ name: a, type: quay, secretFile: /a }], httpRoute: { enabled: true }",
            "hints.httpRoute.parentRefs",
        ),
    ];
    are_refused(&table);
}

/// Values of `hints.receivers` and what follows, each refused with some words.
fn are_refused(table: &[(&str, &str)]) {
    for version in VERSIONS {
        let helm = Helm::new(version);
        for (receivers, words) in table {
            let values = format!("hints: {{ receivers: {receivers} }}");
            let message = helm.render(&values).expect_err(&values);
            assert!(message.contains(words), "{version:?}: {values}: {message}");
        }
    }
}

#[test]
fn another_volume_at_the_path_of_the_secrets_is_refused() {
    let values = "
hints: { receivers: [{ name: a, type: quay, secret: { name: a, key: b } }] }
extraVolumeMounts: [{ name: more, mountPath: /etc/kube-autorollout/hints }]";
    let message = Helm::new(VERSIONS[0]).render(values).expect_err(values);
    assert!(
        message.contains("the volume more") && message.contains("the Secrets of hints.receivers"),
        "{message}"
    );
}
