//! Admission policies that change the images of pods, as mirrors and service meshes have them changed
//! (<https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/>).
//!
//! Workloads keep what their owners wrote; what runs is what the pods say.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::PostParams,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    environment::Namespace,
    workload::{TimedOut, eventually},
};

/// How long the API server may take to know a policy: a second or two.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// Why a policy is not in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused it.
    #[error("could not create the admission policy")]
    Create(#[from] kube::Error),
    /// A policy is no JSON, which does not happen.
    #[error("could not describe the admission policy")]
    Describe(#[from] serde_json::Error),
    /// Pods are still made as they are written.
    #[error("the admission policy changes nothing")]
    NotInForce(#[from] TimedOut),
}

/// A policy for the pods of one namespace.
#[derive(Debug, Clone)]
pub struct ImagePolicy {
    name: String,
    /// Which container `c` is changed, in CEL.
    condition: String,
    /// The image that it gets, in CEL.
    value: String,
    /// An image that is changed, and what becomes of it.
    example: [String; 2],
}

impl ImagePolicy {
    /// Images that begin with `from` begin with `to` instead, for example `docker.io/` and `harbor.example/hub/`.
    pub fn mirror(name: &str, from: &str, to: &str) -> Self {
        Self {
            name: name.to_owned(),
            condition: format!("c.image.startsWith('{from}')"),
            value: format!("'{to}' + c.image.substring({})", from.chars().count()),
            example: [from, to].map(|prefix| format!("{prefix}example:main")),
        }
    }

    /// Containers with the image `placeholder`, such as `auto`, get this image.
    pub fn fill_in(name: &str, placeholder: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            condition: format!("c.image == '{placeholder}'"),
            value: format!("'{image}'"),
            example: [placeholder, image].map(str::to_owned),
        }
    }

    /// Puts the policy in force for new pods of a namespace, and waits until it is.
    ///
    /// # Errors
    ///
    /// When the API server refuses it, or it changes nothing within a minute.
    pub async fn put_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        let client = namespace.client();
        // Cluster-wide objects, so their names have to differ from those of other tests
        let name = format!("{}-{}", namespace.name(), self.name);
        let spec = self.spec(namespace.name());
        create(&client, "MutatingAdmissionPolicy", &name, &spec).await?;
        let binding = json!({ "policyName": name });
        create(&client, "MutatingAdmissionPolicyBinding", &name, &binding).await?;
        self.is_in_force(namespace).await
    }

    fn spec(&self, namespace: &str) -> Value {
        json!({
            "matchConstraints": {
                "namespaceSelector": {
                    "matchLabels": { "kubernetes.io/metadata.name": namespace },
                },
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                    "operations": ["CREATE"],
                }],
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [self.mutation("containers"), self.mutation("initContainers")],
        })
    }

    /// A JSON Patch for each container of a list of the pod's spec that the condition is for.
    fn mutation(&self, list: &str) -> Value {
        let Self {
            condition, value, ..
        } = self;
        let expression = format!(
            "has(object.spec.{list}) ? object.spec.{list}.transformList(i, c, {condition}, \
             JSONPatch{{op: 'replace', path: '/spec/{list}/' + string(i) + '/image', value: {value}}}) : []"
        );
        json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } })
    }

    /// Asks the API server what it would make of a pod, until it makes of it what it should.
    async fn is_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        let [image, expected] = &self.example;
        let pods = namespace.api::<Pod>();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "what-admission-makes-of-it" },
            "spec": { "containers": [{ "name": "app", "image": image }] },
        }))?;
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        eventually(KNOWN_WITHIN, "the policy", async || {
            let made = pods.create(&parameters, &pod).await;
            let made = made.map_err(|error| error.to_string())?;
            let containers = made.spec.map(|spec| spec.containers).unwrap_or_default();
            let images: Vec<_> = containers
                .into_iter()
                .map(|container| container.image.unwrap_or_default())
                .collect();
            (images == [expected.as_str()])
                .then_some(())
                .ok_or_else(|| format!("{images:?}"))
        })
        .await?;
        Ok(())
    }
}

/// Creates an object of the API group of admission, which is too new for our types.
async fn create(client: &Client, kind: &str, name: &str, spec: &Value) -> Result<(), Error> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1beta1", kind);
    let plural = match kind.kind.as_str() {
        "MutatingAdmissionPolicy" => "mutatingadmissionpolicies",
        _ => "mutatingadmissionpolicybindings",
    };
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "admissionregistration.k8s.io/v1beta1",
        "kind": kind.kind,
        "metadata": { "name": name },
        "spec": spec,
    }))?;
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}
