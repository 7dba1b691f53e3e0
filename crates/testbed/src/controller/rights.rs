//! The rights that the controller has in a namespace: a service account with a namespaced role, and not more.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use serde_json::json;

/// The controller's service account, and the name of its role.
pub const SERVICE_ACCOUNT: &str = "kube-autorollout";

/// The controller's user in the audit log, when its service account is in this namespace.
pub fn user(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
}

/// What the controller needs, and what it may have besides (Secrets, Events, the Lease): group, resource, verbs.
const RULES: [(&str, &str, &[&str]); 9] = [
    ("apps", "deployments", &["list", "watch", "patch"]),
    ("apps", "statefulsets", &["list", "watch", "patch"]),
    ("apps", "daemonsets", &["list", "watch", "patch"]),
    ("apps", "replicasets", &["list"]),
    ("apps", "controllerrevisions", &["list"]),
    ("", "pods", &["list"]),
    ("", "secrets", &["get"]),
    ("events.k8s.io", "events", &["create"]),
    (
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update"],
    ),
];

/// All rights that the controller has in a namespace, but for those on the `resources` that are left out.
pub fn rights(without: &[&str]) -> Vec<PolicyRule> {
    let rules = RULES.into_iter();
    let left = rules.filter(|(_, resource, _)| !without.contains(resource));
    left.map(|(group, resource, verbs)| rule(group, resource, verbs))
        .collect()
}

/// Makes the service account and gives it these rights on this namespace.
///
/// # Errors
///
/// When the API server refuses one of the objects, as when they are there already.
pub async fn grant(
    client: Client,
    namespace: &str,
    rules: Vec<PolicyRule>,
) -> Result<(), kube::Error> {
    let account = ServiceAccount {
        metadata: named(SERVICE_ACCOUNT),
        ..ServiceAccount::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    accounts.create(&PostParams::default(), &account).await?;
    permit(client, namespace, SERVICE_ACCOUNT, rules).await
}

/// Gives the service account further rights on this namespace, by a role of this name.
///
/// # Errors
///
/// When the API server refuses one of the objects, as when they are there already.
pub async fn permit(
    client: Client,
    namespace: &str,
    name: &str,
    rules: Vec<PolicyRule>,
) -> Result<(), kube::Error> {
    permit_from(client, namespace, namespace, name, rules).await
}

/// Gives the service account of the namespace `home` rights on another namespace, by a role of this name.
///
/// # Errors
///
/// When the API server refuses one of the objects, as when they are there already.
pub async fn permit_from(
    client: Client,
    home: &str,
    namespace: &str,
    name: &str,
    rules: Vec<PolicyRule>,
) -> Result<(), kube::Error> {
    let role = Role {
        metadata: named(name),
        rules: Some(rules),
    };
    let binding = json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": home }],
    });
    let binding = serde_json::from_value(binding).map_err(kube::Error::SerdeError)?;
    let parameters = PostParams::default();
    let api = Api::<Role>::namespaced(client.clone(), namespace);
    api.create(&parameters, &role).await?;
    let api = Api::<RoleBinding>::namespaced(client, namespace);
    api.create(&parameters, &binding).await?;
    Ok(())
}

/// A rule of a role.
pub fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().copied().map(str::to_owned).collect(),
        ..PolicyRule::default()
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}
