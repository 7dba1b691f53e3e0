//! The policy that the chart installs for pins, for the pods of one namespace.

use serde_json::{Value, json};

use super::{Error, create, example, is_in_force, name_for, objects};
use crate::environment::Namespace;

/// The annotation of a pod that names the images which its containers are pinned to.
pub const PINS: &str = "kube-autorollout/pins";

/// The policy's name, after that of its namespace.
const NAME: &str = "pin";

/// The chart's own file.
const SPEC: &str = include_str!("../../../../charts/kube-autorollout/files/pin-policy.yaml");

/// What the pins of a pod are, in CEL, where that fails for pods with labels.
const FAILING: &str = "has(object.metadata.labels) ? object.metadata.labels['no-such-label'] \
     : object.metadata.annotations['kube-autorollout/pins']";

/// The image of the pod by which the policy is tried.
const IMAGE: &str = "example:main";

/// The chart's policy, which gives new pods the images that the annotation [`PINS`] names.
#[derive(Debug, Clone)]
pub struct PinPolicy {
    spec: Value,
}

impl PinPolicy {
    /// As the chart has it.
    ///
    /// # Errors
    ///
    /// When the chart's file is no YAML.
    pub fn of_chart() -> Result<Self, Error> {
        Ok(Self {
            spec: serde_saphyr::from_str(SPEC)?,
        })
    }

    /// The same with an error at run time: it fails for every pinned pod that has labels, as those of
    /// workloads do.
    ///
    /// # Errors
    ///
    /// When the chart's file is no YAML.
    pub fn failing(failure_policy: &str) -> Result<Self, Error> {
        let Self { mut spec } = Self::of_chart()?;
        if let Some(policy) = spec.get_mut("failurePolicy") {
            *policy = failure_policy.into();
        }
        let variables = spec.get_mut("variables").and_then(Value::as_array_mut);
        for variable in variables.into_iter().flatten() {
            if variable.get("name").is_some_and(|name| name == "pins") {
                *variable = json!({ "name": "pins", "expression": FAILING });
            }
        }
        Ok(Self { spec })
    }

    /// Creates the policy for new pods of a namespace, unless it exists, and waits until it is in force.
    ///
    /// # Errors
    ///
    /// When the API server refuses it, or it changes nothing within a minute.
    pub async fn put_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        create(namespace, NAME, self.spec.clone()).await?;
        let (pod, pinned) = pinned();
        is_in_force(namespace, &pod, &pinned).await
    }

    /// Takes a policy of this kind out of force, if there is one, and waits until it is.
    ///
    /// # Errors
    ///
    /// When the API server refuses that, or pods are pinned a minute later.
    pub async fn withdraw(namespace: &Namespace) -> Result<(), Error> {
        let name = name_for(namespace, NAME);
        objects::delete(&namespace.client(), &name).await?;
        let (pod, _) = pinned();
        is_in_force(namespace, &pod, IMAGE).await
    }
}

/// A pod that is to be pinned, and the image that it gets.
fn pinned() -> (Value, String) {
    let pinned = format!("{IMAGE}@sha256:{}", "0".repeat(64));
    let mut pod = example(IMAGE);
    let pins = json!({ "app": pinned }).to_string();
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("annotations".to_owned(), json!({ PINS: pins }));
    }
    (pod, pinned)
}
