//! The configuration file that the chart writes, read by the binary.

use std::{collections::BTreeMap, fs, process::Command};

use serde_json::{Value, json};

use crate::helm::{Helm, VERSIONS, object};

/// Everything that the chart 0.7 knew.
const EARLIER: &str = include_str!("values/earlier.yaml");

/// The binary resolved nothing; 2 would be a configuration that it cannot follow.
const READ: i32 = 1;

#[test]
fn the_values_of_the_earlier_chart_with_all_their_features_make_a_configuration_that_is_read() {
    let rendered = Rendered::of(EARLIER);
    rendered.is_read();
    let config = rendered.configuration();
    assert_eq!(config["cronSchedule"], "*/30 * * * * *");
    assert_eq!(config["logLevel"], "debug");
    let registries = &config["registries"];
    assert_eq!(
        registries[0]["secret"],
        json!({"type": "ImagePullSecret", "mountPath": "/etc/secrets/registries/ghcr.io"})
    );
    assert_eq!(registries[1]["secret"]["username"], "robot");
    let files = [1, 2, 3].map(|entry| registries[entry]["secret"]["tokenFile"].clone());
    let mut unique = files.to_vec();
    unique.dedup();
    assert!(
        files.iter().all(Value::is_string) && unique.len() == 3,
        "{files:?}"
    );
    assert_eq!(registries[4]["secret"]["token"], "prefix-${API_KEY}");
    assert_eq!(registries[5]["secret"]["type"], "None");
    let env = &rendered.container()["env"];
    let variable = json!({"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "jfrog", "key": "API_KEY"}}});
    assert!(env.as_array().expect("a list").contains(&variable), "{env}");
    let mounts = rendered.container()["volumeMounts"].to_string();
    assert!(mounts.contains(r#""subPath":"ca.crt""#), "{mounts}");
}

#[test]
fn a_literal_token_is_in_a_secret_and_not_in_the_config_map() {
    let rendered = Rendered::of(
        "config: { registries: [{ hostnamePattern: ghcr.io, secret: { token: hunter2 } }] }",
    );
    rendered.is_read();
    let config_map = object(
        &rendered.objects,
        "ConfigMap",
        "web-kube-autorollout-config",
    );
    assert!(!config_map.to_string().contains("hunter2"), "{config_map}");
    let secret = object(&rendered.objects, "Secret", "web-kube-autorollout-tokens");
    assert_eq!(secret["stringData"], json!({"registry-0": "hunter2"}));
}

#[test]
fn secrets_with_the_same_key_do_not_meet_in_one_variable() {
    let rendered = Rendered::of(
        "
config:
  registries:
    - { hostnamePattern: a.example.com, secret: { name: a, key: KEY, token: 'x-${KEY}' } }
    - { hostnamePattern: b.example.com, secret: { name: b, key: KEY, token: 'y-${KEY}' } }
",
    );
    let registries = &rendered.configuration()["registries"];
    assert_eq!(registries[0]["secret"]["token"], "x-${KEY}");
    assert_eq!(registries[1]["secret"]["token"], "y-${REGISTRY_1_KEY}");
    let variable = |name: &str| {
        let env = rendered.container()["env"].as_array().expect("a list");
        let found = env.iter().find(|variable| variable["name"] == name);
        found.expect(name)["valueFrom"]["secretKeyRef"]["name"].clone()
    };
    assert_eq!(
        (variable("KEY"), variable("REGISTRY_1_KEY")),
        (json!("a"), json!("b"))
    );
}

#[test]
fn an_interval_takes_the_place_of_the_default_schedule_only() {
    let interval = Rendered::of("config: { interval: 45s }");
    interval.is_read();
    assert!(interval.configuration()["cronSchedule"].is_null());
    let both = Rendered::of("config: { interval: 45s, cronSchedule: '@hourly' }");
    assert_eq!(both.configuration()["cronSchedule"], "@hourly");
}

#[test]
fn replicas_elect_a_leader_unless_told_otherwise() {
    for (values, elects) in [
        ("{}", false),
        ("replicaCount: 2", true),
        ("config: { leaderElection: { enabled: true } }", true),
        (
            "{ replicaCount: 2, config: { leaderElection: { enabled: false } } }",
            false,
        ),
    ] {
        let rendered = Rendered::of(values);
        let enabled = &rendered.configuration()["leaderElection"]["enabled"];
        assert_eq!(enabled, &json!(elects), "{values}");
    }
}

#[test]
fn every_new_key_reaches_the_binary() {
    let rendered = Rendered::of(
        "
config:
  timeZone: Europe/Berlin
  logFormat: json
  platforms: [linux/amd64]
  watch: { namespaces: [a, b] }
  rollouts: { maxConcurrent: 5, minInterval: 10m, settle: 30s, retryAfter: [1m, 1h] }
  registries:
    - { hostnamePattern: 'registry.internal:5000', plainHttp: true, maxConcurrentRequests: 4 }
    - { hostnamePattern: docker.io, endpoint: 'https://harbor.corp/docker-hub' }
",
    );
    rendered.is_read();
    let config = rendered.configuration();
    assert_eq!(
        config["rollouts"],
        json!({"maxConcurrent": 5, "minInterval": "10m", "settle": "30s", "retryAfter": ["1m", "1h"]})
    );
    assert_eq!(config["registries"][0]["plainHttp"], true);
    let endpoint = &config["registries"][1]["endpoint"];
    assert_eq!(endpoint, "https://harbor.corp/docker-hub");
}

/// What came out of the chart.
pub(crate) struct Rendered {
    objects: Vec<Value>,
}

impl Rendered {
    pub(crate) fn of(values: &str) -> Self {
        let rendered = Helm::new(VERSIONS[0]).render(values);
        let objects = rendered.unwrap_or_else(|error| panic!("{error}"));
        Self { objects }
    }

    fn text(&self) -> &str {
        let config_map = object(&self.objects, "ConfigMap", "web-kube-autorollout-config");
        config_map["data"]["config.yaml"].as_str().expect("text")
    }

    pub(crate) fn configuration(&self) -> Value {
        serde_saphyr::from_str(self.text()).expect("YAML")
    }

    fn container(&self) -> &Value {
        let deployment = object(&self.objects, "Deployment", "web-kube-autorollout");
        &deployment["spec"]["template"]["spec"]["containers"][0]
    }

    /// The binary reads the configuration, with a file wherever the chart mounts one.
    pub(crate) fn is_read(&self) {
        let root = tempfile::tempdir().expect("a folder");
        let here = |path: &str| format!("{}{path}", root.path().display());
        let config = self.configuration();
        for entry in config["registries"].as_array().into_iter().flatten() {
            let secret = &entry["secret"];
            write(secret["tokenFile"].as_str().map(&here), "a token");
            let pull_secret = secret["mountPath"].as_str();
            let pull_secret = pull_secret.map(|path| here(&format!("{path}/.dockerconfigjson")));
            write(pull_secret, r#"{"auths":{}}"#);
        }
        for receiver in config["hints"]["receivers"]
            .as_array()
            .into_iter()
            .flatten()
        {
            for key in ["secretFile", "previousSecretFile"] {
                write(receiver[key].as_str().map(&here), "a-secret");
            }
        }
        for sink in config["notifications"]["sinks"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let url = "https://receiver.example.org/";
            write(sink["urlFile"].as_str().map(&here), url);
            write(sink["secretFile"].as_str().map(&here), "a key");
        }
        let authority = include_str!("../../src/config/tests/ca.pem");
        for path in config["tls"]["caCertificatePaths"]
            .as_array()
            .into_iter()
            .flatten()
        {
            write(path.as_str().map(&here), authority);
        }
        let file = root.path().join("config.yaml");
        fs::write(&file, self.text().replace("/etc/", &here("/etc/"))).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
            .args(["check", "not a reference", "--config"])
            .arg(&file)
            .envs(BTreeMap::from([("API_KEY", "a key")]))
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(READ), "{said}\n{}", self.text());
    }
}

fn write(path: Option<String>, content: &str) {
    let Some(path) = path else { return };
    let folder = std::path::Path::new(&path).parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder");
    fs::write(path, content).expect("a file");
}
