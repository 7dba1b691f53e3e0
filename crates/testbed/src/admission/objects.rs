//! Policies and their bindings as objects, in the newest version of their API that the API server has.

use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::Error;

const GROUP: &str = "admissionregistration.k8s.io";

/// The name of a kind, and that of many of it.
type Names = [&'static str; 2];

/// A policy, and what puts it in force.
const KINDS: [Names; 2] = [
    ["MutatingAdmissionPolicy", "mutatingadmissionpolicies"],
    [
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
    ],
];

/// Creates a policy and its binding with these specs, unless they are there.
pub(super) async fn create(client: &Client, name: &str, specs: [Value; 2]) -> Result<(), Error> {
    let version = version(client).await?;
    for (kind, spec) in KINDS.into_iter().zip(specs) {
        let [kind_name, _] = kind;
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": format!("{GROUP}/{version}"),
            "kind": kind_name,
            "metadata": { "name": name },
            "spec": spec,
        }))?;
        let api = api(client, version, kind);
        match api.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            created => drop(created?),
        }
    }
    Ok(())
}

/// Deletes a policy and its binding, if they are there.
pub(super) async fn delete(client: &Client, name: &str) -> Result<(), kube::Error> {
    let version = version(client).await?;
    for kind in KINDS.into_iter().rev() {
        let api = api(client, version, kind);
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            deleted => drop(deleted?),
        }
    }
    Ok(())
}

/// The newest version of the API for policies that an API server has: `v1` since Kubernetes 1.36, and `v1beta1` before.
///
/// # Errors
///
/// When the API server does not respond.
pub async fn version(client: &Client) -> Result<&'static str, kube::Error> {
    let stable = client
        .list_api_group_resources(&format!("{GROUP}/v1"))
        .await?;
    let [[_, policies], _] = KINDS;
    let is_stable = stable.resources.iter().any(|one| one.name == policies);
    Ok(if is_stable { "v1" } else { "v1beta1" })
}

/// The API of a kind, which is too new for our types.
fn api(client: &Client, version: &str, [kind, plural]: Names) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(GROUP, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::all_with(client.clone(), &resource)
}
