//! What `pinning` comes to: the policy for pods, for every API that a cluster may have, and the key of the configuration.

use serde_json::{Value, json};

use crate::{
    configuration::Rendered,
    helm::{ADMISSION, Helm, VERSIONS, documents, names},
};

/// The name of the policy of the release `web` in the namespace `team`.
const POLICY: &str = "web-kube-autorollout-team-pin";

const ENABLED: &str = "pinning: { enabled: true }";

/// The same before Kubernetes 1.36.
const BETA: &str = "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy";

/// The objects about pins in what the chart makes of these values on a cluster with these APIs.
fn pinning(values: &str, apis: &[&str]) -> Vec<Value> {
    let objects = documents(&text(values, apis).unwrap_or_else(|error| panic!("{error}")));
    let named = |object: &Value| object["metadata"]["name"] == POLICY;
    objects.into_iter().filter(named).collect()
}

fn text(values: &str, apis: &[&str]) -> Result<String, String> {
    let apis = apis.iter().flat_map(|api| ["--api-versions", api]);
    let options: Vec<_> = apis.collect();
    Helm::new(VERSIONS[0]).text("web", "team", &options, values)
}

#[test]
fn the_policy_is_of_the_newest_api_that_the_cluster_has() {
    for (apis, version) in [
        (&[ADMISSION][..], "v1"),
        (&[BETA], "v1beta1"),
        (&[BETA, ADMISSION], "v1"),
    ] {
        let objects = pinning(ENABLED, apis);
        let expected =
            format!("MutatingAdmissionPolicy {POLICY}, MutatingAdmissionPolicyBinding {POLICY}");
        assert_eq!(names(&objects), expected);
        for object in &objects {
            let expected = format!("admissionregistration.k8s.io/{version}");
            assert_eq!(object["apiVersion"], *expected);
        }
        assert_eq!(objects[1]["spec"]["policyName"], POLICY);
        assert_eq!(objects[0]["spec"]["failurePolicy"], "Ignore");
    }
}

#[test]
fn without_an_api_for_the_policy_the_reason_and_both_ways_out_are_named() {
    for version in VERSIONS {
        let rendered = Helm::new(version).text("web", "team", &[], ENABLED);
        let message = rendered.expect_err("there is no API");
        for part in [
            "pinning.enabled: Kubernetes v1.",
            "has no API for MutatingAdmissionPolicy",
            "set pinning.policy to kyverno",
            "or set it to none",
            ADMISSION,
        ] {
            assert!(message.contains(part), "{version:?}: {part}: {message}");
        }
    }
    for policy in ["kyverno", "none"] {
        let values = format!("pinning: {{ enabled: true, policy: {policy} }}");
        assert!(text(&values, &[]).is_ok(), "{policy}");
    }
    let off = text("pinning: { policy: admission }", &[]);
    assert!(off.is_ok_and(|text| !text.contains("pin")), "it is off");
}

#[test]
fn pods_of_the_watched_namespaces_are_pinned_unless_others_are_named() {
    let selector = |more: &str| {
        let objects = pinning(&format!("{ENABLED}\n{more}"), &[ADMISSION]);
        objects[1]["spec"]["matchResources"]["namespaceSelector"].clone()
    };
    let among = |namespaces: &[&str]| {
        let key = "kubernetes.io/metadata.name";
        json!({ "matchExpressions": [{ "key": key, "operator": "In", "values": namespaces }] })
    };
    assert_eq!(selector(""), among(&["team"]));
    let two = "config: { watch: { namespaces: [a, b] } }";
    assert_eq!(selector(two), among(&["a", "b"]));
    let all = "config: { watch: { namespaces: ['*'] } }";
    assert_eq!(selector(all), Value::Null);
    let named = "pinning: { enabled: true, namespaceSelector: { matchLabels: { pins: 'yes' } } }";
    let objects = pinning(named, &[ADMISSION]);
    let selector = &objects[1]["spec"]["matchResources"]["namespaceSelector"];
    assert_eq!(selector, &json!({ "matchLabels": { "pins": "yes" } }));
}

/// Kyverno itself does not run here: this is the form that its documentation has
/// (<https://kyverno.io/docs/policy-types/cluster-policy/mutate/#foreach>,
/// <https://kyverno.io/docs/policy-types/mutating-policy/>).
#[test]
fn with_kyverno_the_policy_is_of_the_newest_kind_that_it_has() {
    let values = "pinning: { enabled: true, policy: kyverno }";
    let objects = pinning(values, &[]);
    assert_eq!(names(&objects), format!("ClusterPolicy {POLICY}"));
    let spec = &objects[0]["spec"];
    for (rule, list) in [(0, "containers"), (1, "initContainers")] {
        let resources = &spec["rules"][rule]["match"]["any"][0]["resources"];
        assert_eq!(resources["operations"], json!(["CREATE"]));
        let values = &resources["namespaceSelector"]["matchExpressions"][0]["values"];
        assert_eq!(values, &json!(["team"]));
        let foreach = &spec["rules"][rule]["mutate"]["foreach"][0];
        let expected = json!([{
            "name": "{{ element.name }}",
            "image": "{{ pins.\"{{ element.name }}\" }}",
        }]);
        assert_eq!(foreach["patchStrategicMerge"]["spec"][list], expected);
    }
    let objects = pinning(values, &["policies.kyverno.io/v1/MutatingPolicy"]);
    assert_eq!(names(&objects), format!("MutatingPolicy {POLICY}"));
    let own = pinning(ENABLED, &[ADMISSION]);
    for field in ["matchConditions", "variables", "mutations"] {
        assert_eq!(objects[0]["spec"][field], own[0]["spec"][field], "{field}");
    }
    let constraints = &objects[0]["spec"]["matchConstraints"];
    assert!(
        constraints["namespaceSelector"].is_object(),
        "{constraints}"
    );
}

#[test]
fn the_controller_pins_where_the_chart_does() {
    for (policy, objects) in [("admission", 2), ("kyverno", 1), ("none", 0)] {
        let values = format!("pinning: {{ enabled: true, policy: {policy} }}");
        assert_eq!(pinning(&values, &[ADMISSION]).len(), objects);
        let rendered = Rendered::of(&values);
        rendered.is_read();
        assert_eq!(rendered.configuration()["pinning"]["enabled"], true);
    }
    assert_eq!(Rendered::of("{}").configuration()["pinning"], Value::Null);
}
