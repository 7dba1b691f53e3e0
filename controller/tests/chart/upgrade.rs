//! Upgrades in place: from the chart before this one, and between strategies that Kubernetes does not let mix.

use std::collections::BTreeSet;

use k8s_openapi::{
    ByteString,
    api::{apps::v1::Deployment, core::v1::Secret},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams, ObjectMeta, PostParams},
    core::GroupVersionKind,
};
use kube_autorollout_testbed::{Namespace, programs::Program, shared};
use serde_json::{Value, json};

use crate::{
    helm::{CHART, Helm, VERSIONS},
    install::{Place, RELEASE},
};

/// Stands for the chart 0.7.2.
const EARLIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chart/earlier");

/// Everything that it knew.
const VALUES: &str = include_str!("values/earlier.yaml");

/// All kinds of objects that one of the charts makes in a namespace: group and kind.
const KINDS: [(&str, &str); 9] = [
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("apps", "Deployment"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
];

#[tokio::test]
async fn helm_3_upgrades_a_release_of_the_earlier_chart_in_place() {
    is_upgraded("earlier-three", Program::Helm3).await;
}

#[tokio::test]
async fn helm_4_upgrades_a_release_of_the_earlier_chart_in_place() {
    is_upgraded("earlier-four", Program::Helm4).await;
}

async fn is_upgraded(hint: &str, version: Program) {
    let place = Place::new(hint, version).await;
    for tag in ["v0.5.2", concat!("v", env!("CARGO_PKG_VERSION"))] {
        place.push("controller", tag, tag).await;
    }
    secrets(&place.namespace).await;
    let mut values: Value = serde_saphyr::from_str(VALUES).expect("YAML");
    values["config"]["webserver"]["port"] = json!(place.port.number());
    values["image"] = json!({ "repository": place.image("controller"), "pullPolicy": "Always" });

    place.run(&["install", RELEASE, EARLIER, "--wait"], &values);
    let before = deployment(&place.namespace).await;
    let objects = labelled(&place.namespace).await;
    place.run(&["upgrade", RELEASE, CHART, "--wait"], &values);
    let after = deployment(&place.namespace).await;
    assert_eq!(after.metadata.uid, before.metadata.uid, "the same object");
    let [before, after] = [before, after].map(|deployment| deployment.spec.expect("a spec"));
    assert_eq!(after.selector, before.selector);
    let image = after.template.spec.expect("a pod").containers[0]
        .image
        .clone();
    let expected = concat!(":v", env!("CARGO_PKG_VERSION"));
    assert!(image.expect("an image").ends_with(expected));
    // Every object has its name still, and none of another name is there
    assert_eq!(labelled(&place.namespace).await, objects);

    place.run(&["uninstall", RELEASE, "--wait"], &Value::Null);
    assert_eq!(labelled(&place.namespace).await, BTreeSet::new());
}

#[tokio::test]
async fn helm_3_changes_the_strategy_there_and_back() {
    changes_strategy("strategy-three", Program::Helm3).await;
}

#[tokio::test]
async fn helm_4_changes_the_strategy_there_and_back() {
    changes_strategy("strategy-four", Program::Helm4).await;
}

/// `Recreate` beside what is left of `RollingUpdate` is refused by Kubernetes.
async fn changes_strategy(hint: &str, version: Program) {
    let place = Place::new(hint, version).await;
    place.push("simulated", "own", "own").await; // two real ones would want one port
    let image = json!({ "repository": place.image("simulated"), "tag": "own" });
    let values = |strategy: &str| json!({ "image": image, "strategy": { "type": strategy } });
    let one = json!({ "image": image });
    let two = json!({ "image": image, "replicaCount": 2 });
    place.run(&["install", RELEASE, CHART, "--wait"], &one);
    for (values, expected) in [
        (two, ("RollingUpdate", [1, 0])),
        (values("Recreate"), ("Recreate", [0, 0])),
        (values("RollingUpdate"), ("RollingUpdate", [0, 1])),
        (values("Recreate"), ("Recreate", [0, 0])),
        (one, ("RollingUpdate", [0, 1])),
    ] {
        place.run(&["upgrade", RELEASE, CHART, "--wait"], &values);
        let spec = deployment(&place.namespace).await.spec;
        let strategy = spec.and_then(|spec| spec.strategy).expect("a strategy");
        let rolling = strategy.rolling_update.unwrap_or_default();
        let number = |limit| match limit {
            Some(IntOrString::Int(number)) => number,
            _ => 0,
        };
        let limits = [rolling.max_surge, rolling.max_unavailable].map(number);
        let kind = strategy.type_.expect("a type");
        assert_eq!((kind.as_str(), limits), expected, "{values}");
    }
}

#[tokio::test]
async fn the_notes_warn_of_a_program_that_is_older_than_the_chart() {
    let kubeconfig = shared().await.control_plane().kubeconfig();
    for version in VERSIONS {
        let helm = Helm::new(version);
        for (tag, warns) in [
            ("v0.5.2", true),
            ("0.5.9", true),
            ("v0.5", true),
            ("v0.6.0-rc.1", false),
            ("v0.6.0", false),
            ("main", false),
            ("", false),
            ("v0.6.0@sha256:0a1b", false),
            ("0.5.2@sha256:0a1b", true),
            ("20261125.01.2", false),
        ] {
            let command = ["install", RELEASE, CHART, "--dry-run=client"];
            let values = json!({ "image": { "tag": tag } });
            let said = helm.on(kubeconfig, "default", &command, &values);
            let said = said.unwrap_or_else(|error| panic!("{error}"));
            let (_, notes) = said.split_once("NOTES:\n").expect("notes");
            let warned = notes.contains(&format!("WARNING: image.tag is {tag}"));
            assert_eq!(warned, warns, "{version:?}: {tag}: {notes}");
            assert!(notes.contains("kube-autorollout/enabled=true"), "{notes}");
        }
    }
}

async fn deployment(namespace: &Namespace) -> Deployment {
    namespace.api().get(RELEASE).await.expect("a Deployment")
}

/// All Secrets that the values name.
async fn secrets(namespace: &Namespace) {
    let authority = include_str!("../../src/config/tests/ca.pem");
    let pull = r#"{"auths":{}}"#;
    for (name, key, content) in [
        ("ghcr", ".dockerconfigjson", pull),
        ("mirror", ".dockerconfigjson", pull),
        ("hub", "token", "one"),
        ("other", "token", "two"),
        ("jfrog", "API_KEY", "three"),
        ("internal", "ca.crt", authority),
    ] {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some([(key.to_owned(), ByteString(content.into()))].into()),
            ..Secret::default()
        };
        let made = namespace
            .api()
            .create(&PostParams::default(), &secret)
            .await;
        made.expect("a Secret");
    }
}

/// Kind and name of each object of the release that a chart has made.
async fn labelled(namespace: &Namespace) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let selected = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    for (group, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(namespace.client(), namespace.name(), &resource);
        let list = api.list(&selected).await.expect("a list");
        found.extend(
            list.iter()
                .map(|object| format!("{kind} {}", object.name_any())),
        );
    }
    found
}
