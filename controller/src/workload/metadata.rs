//! The metadata of a workload, as far as it is read.
//!
//! Other fields are skipped while the API server's response is parsed: managed fields alone, parsed, are tens of kilobytes
//! for each object, and strings that are allocated between them would fragment the heap.

use std::{collections::BTreeMap, fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use tokio::time::Instant;

use crate::constants;

/// The metadata of a workload.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "RawMetadata")]
pub(crate) struct Metadata {
    /// The metadata that kube needs; only annotations with [`constants::PREFIX`]. It has no `uid`, and once it is stored no
    /// `resourceVersion`: kube would copy both into each of its references to the object.
    pub(super) object: ObjectMeta,
    pub(super) uid: Box<str>,
    pub(super) resource_version: Option<Arc<str>>,
    /// Of a Deployment: its annotation [`constants::REVISION`].
    pub(super) revision: Option<Box<str>>,
    pub(crate) received: Instant,
}

/// The metadata as the API server sends it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Box<str>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<Time>,
    annotations: Option<Annotations>,
}

/// The annotations that are read.
#[derive(Default)]
struct Annotations {
    ours: BTreeMap<String, String>,
    revision: Option<Box<str>>,
}

impl From<RawMetadata> for Metadata {
    fn from(raw: RawMetadata) -> Self {
        let Annotations { ours, revision } = raw.annotations.unwrap_or_default();
        let resource_version = raw.resource_version.as_deref().map(Into::into);
        Self {
            object: ObjectMeta {
                name: raw.name,
                namespace: raw.namespace,
                resource_version: raw.resource_version,
                generation: raw.generation,
                deletion_timestamp: raw.deletion_timestamp,
                annotations: (!ours.is_empty()).then_some(ours),
                ..ObjectMeta::default()
            },
            uid: raw.uid,
            resource_version,
            revision,
            received: Instant::now(),
        }
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut annotations = Annotations::default();
        while let Some(key) = map.next_key::<String>()? {
            if key.starts_with(constants::PREFIX) {
                annotations.ours.insert(key, map.next_value()?);
            } else if key == constants::REVISION {
                annotations.revision = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(annotations)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_not_read_are_dropped() {
        let metadata: Metadata = serde_json::from_value(json!({
            "name": "web",
            "namespace": "shop",
            "uid": "of-web",
            "resourceVersion": "12",
            "generation": 3,
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "app": "web" },
            "annotations": {
                "deployment.kubernetes.io/revision": "7",
                "kube-autorollout/interval": "1m",
                "example.com/note": "long",
            },
            "managedFields": [{ "manager": "kubectl", "fieldsV1": { "f:spec": {} } }],
        }))
        .expect("metadata");
        assert_eq!(&*metadata.uid, "of-web");
        assert_eq!(metadata.revision.as_deref(), Some("7"));
        let object = metadata.object;
        assert_eq!(object.name.as_deref(), Some("web"));
        assert_eq!(object.namespace.as_deref(), Some("shop"));
        assert_eq!(object.uid, None);
        assert_eq!(object.resource_version.as_deref(), Some("12"));
        assert_eq!(object.generation, Some(3));
        assert!(object.deletion_timestamp.is_some());
        let annotations = object.annotations.expect("one of ours");
        assert_eq!(annotations.len(), 1, "{annotations:?}");
        assert_eq!(annotations["kube-autorollout/interval"], "1m");
        assert!(object.labels.is_none() && object.managed_fields.is_none());
    }

    #[test]
    fn metadata_without_our_annotations_has_no_map() {
        for annotations in [json!(null), json!({}), json!({ "example.com/note": "a" })] {
            let metadata = json!({ "name": "web", "annotations": annotations });
            let metadata: Metadata = serde_json::from_value(metadata).expect("metadata");
            assert!(metadata.object.annotations.is_none(), "{annotations}");
        }
    }
}
