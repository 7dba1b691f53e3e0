//! Admission policies that change the images of pods, as mirrors and service meshes have them changed
//! (<https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/>).
//!
//! Workloads keep what their owners wrote; what runs is what the pods say.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    environment::Namespace,
    workload::{TimedOut, eventually},
};

/// How long the API server may take to know a policy: a second or two.
const KNOWN_WITHIN: Duration = Duration::from_secs(60);

const GROUP: &str = "admissionregistration.k8s.io";

const VERSION: &str = "v1beta1";

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

    /// Puts the policy in force for new pods of a namespace, and waits until it is. One that is there already stays.
    ///
    /// # Errors
    ///
    /// When the API server refuses it, or it changes nothing within a minute.
    pub async fn put_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        let client = namespace.client();
        let name = self.name_for(namespace);
        let binding = json!({ "policyName": name });
        let specs = [self.spec(namespace.name()), binding];
        for (kind, spec) in KINDS.into_iter().zip(specs) {
            create(&client, kind, &name, &spec).await?;
        }
        self.is_in_force(namespace).await
    }

    /// Takes the policy out of force, which the API server knows a second or two later.
    ///
    /// # Errors
    ///
    /// When the API server refuses that.
    pub async fn withdraw(&self, namespace: &Namespace) -> Result<(), kube::Error> {
        for kind in KINDS.into_iter().rev() {
            let api = api(&namespace.client(), kind);
            let name = self.name_for(namespace);
            match api.delete(&name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    /// Policies are no objects of a namespace, so their names have to differ from those of others.
    fn name_for(&self, namespace: &Namespace) -> String {
        format!("{}-{}", namespace.name(), self.name)
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

/// Creates an object of the API group of admission, unless it is there.
async fn create(client: &Client, kind: Names, name: &str, spec: &Value) -> Result<(), Error> {
    let [kind_name, _] = kind;
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": kind_name,
        "metadata": { "name": name },
        "spec": spec,
    }))?;
    let created = api(client, kind)
        .create(&PostParams::default(), &object)
        .await;
    match created {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        created => Ok(created.map(drop)?),
    }
}

/// The API of a kind, which is too new for our types.
fn api(client: &Client, [kind, plural]: Names) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(GROUP, VERSION, kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::all_with(client.clone(), &resource)
}
