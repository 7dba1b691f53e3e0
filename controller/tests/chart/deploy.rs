//! What stands in `deploy/`: manifests that are the chart's, and examples that are accepted.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    configuration::Rendered,
    generated::is_up_to_date,
    helm::{ADMISSION, Helm, VERSIONS},
};

/// The manifests, and the values and the namespace that they are rendered with.
const MANIFESTS: [(&str, &str, &str); 2] = [
    ("deploy/namespace/kube-autorollout.yaml", "{}", "default"),
    (
        "deploy/cluster/kube-autorollout.yaml",
        "config: { watch: { namespaces: ['*'] } }",
        "kube-autorollout",
    ),
];

/// The policies for pins, and the policy and the API of the cluster that they are rendered for.
const POLICIES: [(&str, &str, &str); 4] = [
    ("deploy/pins/kubernetes-1.36.yaml", "admission", ADMISSION),
    (
        "deploy/pins/kubernetes-1.34.yaml",
        "admission",
        "admissionregistration.k8s.io/v1beta1/MutatingAdmissionPolicy",
    ),
    (
        "deploy/pins/kyverno-1.17.yaml",
        "kyverno",
        "policies.kyverno.io/v1/MutatingPolicy",
    ),
    ("deploy/pins/kyverno-1.10.yaml", "kyverno", "kyverno.io/v1"),
];

/// What Helm says of itself, which is not so here.
const OF_HELM: [&str; 3] = [
    "helm.sh/chart:",
    "app.kubernetes.io/managed-by: Helm",
    "# Source:",
];

#[test]
fn the_manifests_are_those_of_the_chart() {
    let helm = Helm::new(VERSIONS[0]);
    for (file, values, namespace) in MANIFESTS {
        let rendered = helm.text("kube-autorollout", namespace, &["--no-hooks"], values);
        let rendered = rendered.unwrap_or_else(|error| panic!("{error}"));
        is_up_to_date(file, &without_helm(&rendered));
    }
}

#[test]
fn the_policies_for_pins_are_those_of_the_chart_and_for_all_namespaces() {
    let helm = Helm::new(VERSIONS[0]);
    for (file, policy, api) in POLICIES {
        let values = format!(
            "{{ config: {{ watch: {{ namespaces: ['*'] }} }}, pinning: {{ enabled: true, policy: {policy} }} }}"
        );
        let template = ["--show-only", "templates/pinning.yaml"];
        let options = [&template[..], &["--api-versions", api]].concat();
        let rendered = helm.text("kube-autorollout", "kube-autorollout", &options, &values);
        let rendered = rendered.unwrap_or_else(|error| panic!("{error}"));
        is_up_to_date(file, &without_helm(&rendered));
    }
}

/// A rendering without the lines that are about Helm.
fn without_helm(rendered: &str) -> String {
    let of_helm = |line: &&str| OF_HELM.iter().any(|text| line.contains(text));
    let lines = rendered.lines().filter(|line| !of_helm(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn every_example_of_values_makes_a_configuration_that_is_read() {
    for (name, values) in examples("deploy/values") {
        let rendered = Rendered::of(&values);
        rendered.is_read();
        let config = rendered.configuration();
        let registries = config["registries"].as_array().into_iter().flatten();
        // A cloud has several.
        let is_cloud = |entry: &&Value| entry["secret"]["type"] == "CloudIdentity";
        let (clouds, others): (Vec<_>, Vec<_>) = registries.partition(is_cloud);
        let registries = others.len() + usize::from(!clouds.is_empty());
        let authorities = config["tls"]["caCertificatePaths"].as_array();
        assert!(
            registries + authorities.map_or(0, Vec::len) == 1,
            "{name}: {config}"
        );
    }
}

#[test]
fn every_example_of_a_workload_is_selected_and_pulls_always() {
    for (name, text) in examples("deploy/workloads") {
        let workload: Value = serde_saphyr::from_str(&text).expect("YAML");
        let labels = &workload["metadata"]["labels"];
        assert_eq!(labels["kube-autorollout/enabled"], "true", "{name}");
        let containers = workload["spec"]["template"]["spec"]["containers"].as_array();
        for container in containers.expect("containers") {
            assert_eq!(container["imagePullPolicy"], "Always", "{name}");
        }
    }
}

/// The files of a folder, by name.
fn examples(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        (path.display().to_string(), text)
    };
    let examples: Vec<_> = entries
        .map(|entry| read(entry.expect("an entry").path()))
        .collect();
    assert!(!examples.is_empty());
    examples
}
