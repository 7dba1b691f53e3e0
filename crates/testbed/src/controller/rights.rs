//! The rights that the controller has in a namespace: a service account with a namespaced role, and not more.

use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

/// The controller's service account, and the name of its role.
pub const SERVICE_ACCOUNT: &str = "kube-autorollout";

/// What the controller needs and what it may have besides (Secrets, Events): group, resources, verbs.
const RULES: [(&str, &[&str], &[&str]); 5] = [
    (
        "apps",
        &["deployments", "statefulsets", "daemonsets"],
        &["list", "watch", "patch"],
    ),
    ("apps", &["replicasets", "controllerrevisions"], &["list"]),
    ("", &["pods"], &["list"]),
    ("", &["secrets"], &["get"]),
    ("events.k8s.io", &["events"], &["create", "patch"]),
];

/// Makes the service account and gives it the rights on this namespace.
///
/// # Errors
///
/// When the API server refuses one of the objects, as when they are there already.
pub async fn grant(client: Client, namespace: &str) -> Result<(), kube::Error> {
    let metadata = ObjectMeta {
        name: Some(SERVICE_ACCOUNT.to_owned()),
        ..ObjectMeta::default()
    };
    let account = ServiceAccount {
        metadata: metadata.clone(),
        ..ServiceAccount::default()
    };
    let role = Role {
        metadata: metadata.clone(),
        rules: Some(RULES.map(rule).into()),
    };
    let binding = RoleBinding {
        metadata,
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: SERVICE_ACCOUNT.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: SERVICE_ACCOUNT.to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        }]),
    };
    let parameters = PostParams::default();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    accounts.create(&parameters, &account).await?;
    let roles = Api::<Role>::namespaced(client.clone(), namespace);
    roles.create(&parameters, &role).await?;
    let bindings = Api::<RoleBinding>::namespaced(client, namespace);
    bindings.create(&parameters, &binding).await?;
    Ok(())
}

fn rule((group, resources, verbs): (&str, &[&str], &[&str])) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().copied().map(str::to_owned).collect();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}
