//! Which values are refused, and that the schema knows all that `values.yaml` has.

use std::fs;

use serde_json::Value;

use crate::helm::{CHART, Helm, VERSIONS};

#[test]
fn wrong_values_are_refused_by_the_name_of_their_key() {
    let table = [
        ("repliaCount: 2", "repliaCount"),
        ("replicaCount: two", "replicaCount"),
        ("config: { webserver: { port: 0 } }", "port"),
        ("config: { webserver: { port: http } }", "port"),
        ("config: { logFormat: xml }", "logFormat"),
        ("config: { interval: soon }", "interval"),
        (
            "config: { rollouts: { maxConcurrent: -1 } }",
            "maxConcurrent",
        ),
        ("config: { rollouts: { settle: 1 minute } }", "settle"),
        (
            "config: { registries: [{ hostname: ghcr.io }] }",
            "hostname",
        ),
        (
            "config: { registries: [{ secret: { type: Basic } }] }",
            "type",
        ),
        ("config: { watch: { namespaces: web } }", "namespaces"),
        (
            "config: { featureFlags: { enableKubectlAnotation: true } }",
            "enableKubectlAnotation",
        ),
        ("image: { pullPolicy: Sometimes }", "pullPolicy"),
        ("rbac: { enabled: 'yes' }", "enabled"),
        (
            "terminationGracePeriodSeconds: 5",
            "terminationGracePeriodSeconds",
        ),
        ("service: { type: Ingress }", "type"),
        ("service: { hintsPort: 0 }", "hintsPort"),
        ("hints: { port: hooks }", "port"),
        ("pinning: { policy: webhook }", "policy"),
        ("pinning: { namespaceSelector: { labels: {} } }", "labels"),
    ];
    for version in VERSIONS {
        let helm = Helm::new(version);
        for (values, key) in table {
            let message = helm.render(values).expect_err(values);
            assert!(message.contains(key), "{version:?}: {values}: {message}");
        }
    }
}

#[test]
fn the_schema_has_every_key_of_the_values_and_refuses_others() {
    let text = fs::read_to_string(format!("{CHART}/values.yaml")).expect("readable");
    let values: Value = serde_saphyr::from_str(&text).expect("YAML");
    let schema = fs::read_to_string(format!("{CHART}/values.schema.json")).expect("readable");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    compare(&values, &schema, "");
}

/// Every mapping of the values that is more than a free one has its keys in the schema, and no other.
fn compare(values: &Value, schema: &Value, path: &str) {
    let (Some(values), Some(known)) = (values.as_object(), schema["properties"].as_object()) else {
        return;
    };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    let mut documented: Vec<_> = values.keys().collect();
    let mut known_keys: Vec<_> = known.keys().filter(|key| *key != "global").collect(); // Helm's own
    documented.sort();
    known_keys.sort();
    assert_eq!(documented, known_keys, "keys of {path:?}");
    for (key, value) in values {
        compare(value, &known[key], &format!("{path}.{key}"));
    }
}
