//! Admission policies that change the images of pods, as mirrors and service meshes have them changed
//! (<https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/>), and the one of the chart.
//!
//! Workloads keep what their owners wrote; the pods name what runs.

mod objects;
mod pins;

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::{Value, json};

pub use objects::version;
pub use pins::{PINS, PinPolicy};

use crate::{
    environment::Namespace,
    workload::{TimedOut, eventually},
};

/// How long the API server may take to apply a policy: usually a second or two.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

/// Why a policy is not in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused it, or has no API for it.
    #[error("could not create the admission policy")]
    Create(#[from] kube::Error),
    /// A policy is no JSON, which does not happen.
    #[error("could not describe the admission policy")]
    Describe(#[from] serde_json::Error),
    /// The chart's policy is no YAML.
    #[error("could not read the policy of the chart")]
    Read(#[from] serde_saphyr::Error),
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
    /// An example of an image, before and after the change.
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

    /// Creates the policy for new pods of a namespace, unless it exists, and waits until it is in force.
    ///
    /// # Errors
    ///
    /// When the API server refuses it, or it changes nothing within a minute.
    pub async fn put_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        create(namespace, &self.name, self.spec()).await?;
        let [image, expected] = &self.example;
        is_in_force(namespace, &example(image), expected).await
    }

    /// Deletes the policy, which the API server stops applying a second or two later.
    ///
    /// # Errors
    ///
    /// When the API server refuses that.
    pub async fn withdraw(&self, namespace: &Namespace) -> Result<(), kube::Error> {
        let name = name_for(namespace, &self.name);
        objects::delete(&namespace.client(), &name).await
    }

    fn spec(&self) -> Value {
        json!({
            "matchConstraints": {
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
}

/// Creates a policy and its binding to the pods of one namespace.
async fn create(namespace: &Namespace, name: &str, spec: Value) -> Result<(), Error> {
    let name = name_for(namespace, name);
    let labels = json!({ "kubernetes.io/metadata.name": namespace.name() });
    let binding = json!({
        "policyName": name,
        "matchResources": { "namespaceSelector": { "matchLabels": labels } },
    });
    objects::create(&namespace.client(), &name, [spec, binding]).await
}

/// Policies are not namespaced, so their names have to be unique.
fn name_for(namespace: &Namespace, name: &str) -> String {
    format!("{}-{name}", namespace.name())
}

/// A pod with one container of this image.
fn example(image: &str) -> Value {
    json!({
        "metadata": { "name": "what-admission-makes-of-it" },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    })
}

/// Asks the API server what it would make of a pod, until its only container has the expected image.
async fn is_in_force(namespace: &Namespace, pod: &Value, expected: &str) -> Result<(), Error> {
    let pods = namespace.api::<Pod>();
    let pod: Pod = serde_json::from_value(pod.clone())?;
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
        (images == [expected])
            .then_some(())
            .ok_or_else(|| format!("{images:?}"))
    })
    .await?;
    Ok(())
}
