//! The policy that the chart installs for pins, for the pods of one namespace.

use serde_json::{Value, json};

use super::{Error, binding, example, is_in_force, objects};
use crate::environment::Namespace;

/// The annotation of a pod that names the images which its containers are pinned to.
pub const PINS: &str = "kube-autorollout/pins";

/// The chart's own file.
const SPEC: &str = include_str!("../../../../charts/kube-autorollout/files/pin-policy.yaml");

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

    /// Puts the policy in force for new pods of a namespace, and waits until it is. One that is there already stays.
    ///
    /// # Errors
    ///
    /// When the API server refuses it, or it changes nothing within a minute.
    pub async fn put_in_force(&self, namespace: &Namespace) -> Result<(), Error> {
        let name = name_for(namespace);
        let specs = [self.spec.clone(), binding(namespace, &name)];
        objects::create(&namespace.client(), &name, specs).await?;
        let image = "example:main";
        let pinned = format!("{image}@sha256:{}", "0".repeat(64));
        let mut pod = example(image);
        let pins = json!({ "app": pinned }).to_string();
        if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("annotations".to_owned(), json!({ PINS: pins }));
        }
        is_in_force(namespace, &pod, &pinned).await
    }

    /// Takes the policy out of force, which the API server knows a second or two later.
    ///
    /// # Errors
    ///
    /// When the API server refuses that.
    pub async fn withdraw(&self, namespace: &Namespace) -> Result<(), kube::Error> {
        objects::delete(&namespace.client(), &name_for(namespace)).await
    }
}

/// Policies are no objects of a namespace, so their names have to differ from those of others.
fn name_for(namespace: &Namespace) -> String {
    format!("{}-pin", namespace.name())
}
