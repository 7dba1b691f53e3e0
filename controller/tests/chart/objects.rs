//! The objects that the chart renders for its values.

use std::collections::BTreeSet;

use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_autorollout_testbed::controller::rights;
use serde_json::{Value, json};

use crate::helm::{Helm, VERSIONS, names, object};

/// Everything that can be switched on.
const EVERYTHING: &str = "
replicaCount: 2
config: { watch: { namespaces: [a, b] } }
rbac: { nodes: { enabled: true } }
service: { enabled: true }
serviceMonitor: { enabled: true, labels: { release: prometheus } }
podMonitor: { enabled: true }
prometheusRule: { enabled: true }
grafanaDashboard: { enabled: true }
networkPolicy: { enabled: true }
hints:
  receivers: [{ name: registry, type: distribution, secret: { name: hints, key: registry } }]
  ingress: { enabled: true, host: hints.example.org }
  httpRoute: { enabled: true, parentRefs: [{ name: public }] }
podDisruptionBudget: { enabled: true }
commonLabels: { team: platform }
";

#[test]
fn helm_lints_the_chart_without_a_word() {
    for version in VERSIONS {
        for values in ["{}", EVERYTHING] {
            let linted = Helm::new(version).lint(values);
            assert_eq!(linted, Ok(()), "{version:?}: {values}");
        }
    }
}

#[test]
fn both_versions_of_helm_render_the_same() {
    let [helm3, helm4] = VERSIONS.map(|version| Helm::new(version).render(EVERYTHING));
    assert_eq!(helm3.expect("rendered"), helm4.expect("rendered"));
}

#[test]
fn the_defaults_make_what_one_namespace_needs() {
    let objects = render("{}");
    let expected = "ServiceAccount web-kube-autorollout, ConfigMap web-kube-autorollout-config, \
                    Role web-kube-autorollout-role, RoleBinding web-kube-autorollout-rolebinding, \
                    Deployment web-kube-autorollout, Pod web-kube-autorollout-test";
    assert_eq!(names(&objects), expected);
    let deployment = object(&objects, "Deployment", "web-kube-autorollout");
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        json!({"app.kubernetes.io/name": "kube-autorollout", "app.kubernetes.io/instance": "web"}),
        "a selector cannot be changed: an upgrade from 0.7 would fail"
    );
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["name"], "kube-autorollout");
    assert_eq!(container["image"], "ghcr.io/juv/kube-autorollout:v0.6.0");
    assert_eq!(
        deployment["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
        "two without an election would both act"
    );
}

#[test]
fn each_watched_namespace_gets_a_role_and_the_own_one_a_lease() {
    let objects = render(EVERYTHING);
    let roles: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "Role")
        .map(|role| (&role["metadata"]["namespace"], &role["metadata"]["name"]))
        .collect();
    let [role, election] =
        ["role", "leader-election"].map(|name| format!("web-kube-autorollout-{name}"));
    let expected = json!([["a", role], ["b", role], ["team", election]]);
    assert_eq!(json!(roles), expected);
    object(&objects, "ClusterRole", "web-kube-autorollout-team-nodes");
    let alerts = object(&objects, "PrometheusRule", "web-kube-autorollout");
    let first = &alerts["spec"]["groups"][0]["rules"][0];
    assert!(first["alert"].is_string(), "{alerts}");
    let labels = &object(&objects, "ServiceMonitor", "web-kube-autorollout")["metadata"]["labels"];
    assert_eq!(
        (&labels["release"], &labels["team"]),
        (&json!("prometheus"), &json!("platform"))
    );
}

/// With these, and not more, the controller is tested against the control plane.
#[test]
fn the_roles_hold_just_the_rights_that_the_controller_is_tested_with() {
    let objects = render("replicaCount: 2");
    let roles = objects.iter().filter(|object| object["kind"] == "Role");
    let granted = roles
        .flat_map(|role| parsed(&role["rules"]))
        .collect::<Vec<_>>();
    assert_eq!(each_right(&granted), each_right(&rights(&[])));
}

fn parsed(rules: &Value) -> Vec<PolicyRule> {
    serde_json::from_value(rules.clone()).expect("rules")
}

/// Every group, resource and verb of some rules.
fn each_right(rules: &[PolicyRule]) -> BTreeSet<[String; 3]> {
    let mut each = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let right = |verb: &String| [group.clone(), resource.clone(), verb.clone()];
                each.extend(rule.verbs.iter().map(right));
            }
        }
    }
    each
}

#[test]
fn a_controller_that_watches_all_namespaces_gets_a_cluster_role_that_reads_nodes() {
    let objects = render("config: { watch: { namespaces: ['*'] } }");
    let role = object(&objects, "ClusterRole", "web-kube-autorollout-team-role");
    assert!(role["metadata"]["namespace"].is_null());
    object(&objects, "ClusterRole", "web-kube-autorollout-team-nodes");
    assert!(!names(&objects).contains(" Role "), "{}", names(&objects));
}

#[test]
fn a_users_label_replaces_none_of_ours() {
    let values = "
commonLabels: { app.kubernetes.io/name: theirs, team: platform }
podLabels: { app.kubernetes.io/instance: theirs, tier: tools }
";
    let objects = render(values);
    let deployment = object(&objects, "Deployment", "web-kube-autorollout");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let expected = [
        ("app.kubernetes.io/name", "kube-autorollout"),
        ("app.kubernetes.io/instance", "web"),
        ("team", "platform"),
        ("tier", "tools"),
    ];
    for (label, value) in expected {
        assert_eq!(labels[label], value, "{label}");
    }
}

#[test]
fn without_permission_for_secrets_the_role_has_none() {
    let resources = |values: &str| {
        let objects = render(values);
        let role = object(&objects, "Role", "web-kube-autorollout-role");
        role["rules"].to_string()
    };
    assert!(resources("{}").contains("secrets"));
    assert!(!resources("rbac: { secrets: { enabled: false } }").contains("secrets"));
}

#[test]
fn a_service_monitor_without_a_service_is_refused_with_the_way_out() {
    let refused = Helm::new(VERSIONS[0]).render("serviceMonitor: { enabled: true }");
    let message = refused.expect_err("there is nothing to scrape");
    assert!(message.contains("requires service.enabled"), "{message}");
}

#[test]
fn entries_that_share_a_pull_secret_mount_it_once() {
    let objects = render(
        "config: { registries: [
          { hostnamePattern: a, secret: { type: ImagePullSecret, name: pull, mountPath: /pull } },
          { hostnamePattern: b, secret: { type: ImagePullSecret, name: pull, mountPath: /pull/ } }] }",
    );
    let deployment = object(&objects, "Deployment", "web-kube-autorollout").to_string();
    assert_eq!(deployment.matches("\"/pull").count(), 1, "{deployment}");
}

fn pull(name: &str, path: &str) -> String {
    format!(
        "{{ hostnamePattern: a, secret: {{ type: ImagePullSecret, name: {name}, mountPath: {path} }} }}"
    )
}

fn authority(name: &str, path: &str) -> String {
    format!("{{ name: {name}, subPath: ca.crt, mountPath: {path} }}")
}

#[test]
fn two_things_at_one_path_are_refused_by_the_names_of_both() {
    let values = |registries: &[String], authorities: &[String], extra: &str| {
        let (registries, authorities) = (registries.join(", "), authorities.join(", "));
        format!(
            "config: {{ registries: [{registries}], tls: {{ customCaCertificates: {{ enabled: true, secrets: [{authorities}] }} }} }}
extraVolumeMounts: [{extra}]"
        )
    };
    let table = [
        (
            values(&[pull("one", "/pull"), pull("other", "/pull")], &[], ""),
            ["Secret one", "Secret other"],
        ),
        (
            values(
                &[],
                &[authority("one", "/ca.crt"), authority("other", "/ca.crt")],
                "",
            ),
            ["Secret one", "Secret other"],
        ),
        (
            values(
                &[],
                &[authority("one", "/ca.crt"), authority("one", "/ca.crt")],
                "",
            ),
            ["secrets[0]", "secrets[1]"],
        ),
        (
            values(&[pull("one", "/pull")], &[authority("other", "/pull/")], ""),
            ["Secret one", "Secret other"],
        ),
        (
            values(
                &[],
                &[authority("one", "/ca.crt")],
                "{ name: more, mountPath: /ca.crt }",
            ),
            ["Secret one", "volume more"],
        ),
        (
            values(&[pull("one", "/etc/kube-autorollout/config")], &[], ""),
            ["Secret one", "the configuration"],
        ),
    ];
    for version in VERSIONS {
        let helm = Helm::new(version);
        for (values, names) in &table {
            let message = helm.render(values).expect_err(values);
            for name in names {
                assert!(message.contains(name), "{version:?}: {values}: {message}");
            }
        }
    }
}

fn render(values: &str) -> Vec<Value> {
    let rendered = Helm::new(VERSIONS[0]).render(values);
    rendered.unwrap_or_else(|error| panic!("{error}"))
}
