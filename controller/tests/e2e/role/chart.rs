//! The roles of the chart, and namespaces in which they lack one right.

use std::{collections::BTreeSet, process::Command};

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{Api, api::PostParams};
use kube_autorollout_testbed::{
    Bed,
    controller::SERVICE_ACCOUNT,
    programs::{Program, Programs},
    shared,
};
use serde_json::{Value, json};

use super::Right;
use crate::harness::{World, parsed};

/// Stands for the namespace in the rendered objects.
const NAMESPACE: &str = "the-namespace-of-the-test";

/// The roles of the chart with all that can be switched on in one namespace, their bindings and the account.
pub(super) fn rendered() -> Vec<Value> {
    let helm = Programs::tool(Program::Helm3, &|_| ()).expect("Helm is built");
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/kube-autorollout");
    let mut template = Command::new(helm);
    template
        .args(["template", SERVICE_ACCOUNT, chart, "--namespace", NAMESPACE])
        .args(["--set", "replicaCount=2,rbac.nodes.enabled=true"]);
    for part in ["role", "rolebinding", "serviceaccount"] {
        template.args(["--show-only", &format!("templates/{part}.yaml")]);
    }
    let output = template.output().expect("Helm runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let objects = serde_saphyr::from_multiple::<Value>(&text).expect("YAML");
    objects.into_iter().filter(|one| !one.is_null()).collect()
}

/// The single rights of a role.
pub(super) fn rights(object: &Value) -> BTreeSet<[String; 3]> {
    let rules = object["rules"].as_array().into_iter().flatten();
    rules.flat_map(single).map(|(right, _)| right).collect()
}

/// A rule as one rule for each right.
fn single(rule: &Value) -> Vec<([String; 3], Value)> {
    let words = |key: &str| -> Vec<String> { parsed(rule[key].clone()) };
    let mut single = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                let mut alone = rule.clone();
                alone["apiGroups"] = json!([group]);
                alone["resources"] = json!([resource]);
                alone["verbs"] = json!([verb]);
                single.push(([group.clone(), resource.clone(), verb], alone));
            }
        }
    }
    single
}

/// A namespace with the objects of the chart, where the roles have all rights but one.
pub(super) async fn world(hint: &str, without: Right, mut rendered: Vec<Value>) -> World {
    let testbed = shared().await;
    let namespace = testbed.namespace(hint).await.expect("a namespace");
    let client = namespace.client();
    let mut left_out = 0;
    for object in &mut rendered {
        if let Some(rules) = object["rules"].as_array() {
            let all: Vec<_> = rules.iter().flat_map(single).collect();
            let kept = all.iter().filter(|(right, _)| *right != without);
            let kept: Vec<_> = kept.map(|(_, rule)| rule.clone()).collect();
            left_out += all.len() - kept.len();
            object["rules"] = json!(kept);
        }
        let text = object.to_string().replace(NAMESPACE, namespace.name());
        let object: Value = serde_json::from_str(&text).expect("JSON");
        match object["kind"].as_str().expect("a kind") {
            "Role" => make::<Role>(&namespace.api(), object).await,
            "RoleBinding" => make::<RoleBinding>(&namespace.api(), object).await,
            "ServiceAccount" => make::<ServiceAccount>(&namespace.api(), object).await,
            "ClusterRole" => make::<ClusterRole>(&Api::all(client.clone()), object).await,
            _ => make::<ClusterRoleBinding>(&Api::all(client.clone()), object).await,
        }
    }
    assert_eq!(left_out, 1, "one right is left out");
    World::around(Bed::Shared(testbed), namespace)
}

async fn make<K>(api: &Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let made = api.create(&PostParams::default(), &parsed(object)).await;
    made.expect("created");
}
