//! The command `check` with a configuration.

use std::path::PathBuf;

use kube_autorollout_testbed::{
    Testbed,
    registry::{ALICE, Registry},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A folder with a configuration and the files that it names, and environment variables.
pub(super) struct Given {
    folder: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

/// The exit code and the output of a check.
pub(super) struct Checked {
    pub(super) code: Option<i32>,
    pub(super) output: String,
    pub(super) error: String,
}

impl Given {
    pub(super) fn new(configuration: &str) -> Self {
        let given = Self {
            folder: tempfile::tempdir().expect("a folder"),
            environment: Vec::new(),
        };
        given.file("config.yaml", configuration.as_bytes());
        given
    }

    /// Plain HTTP to the testbed's shared registry, and the certificates of these others.
    pub(super) fn trusting(testbed: &Testbed, registries: &[&Registry]) -> Self {
        let given = Self::new("");
        let mut entries =
            vec![json!({ "hostnamePattern": testbed.registry().host(), "plainHttp": true })];
        for registry in registries {
            let ca = given.file(
                &format!("{}.crt", registry.host()),
                registry.ca_certificate(),
            );
            let entry = json!({ "hostnamePattern": registry.host(), "caCertificatePaths": [ca] });
            entries.push(entry);
        }
        let configuration = json!({ "registries": entries }).to_string();
        given.file("config.yaml", configuration.as_bytes());
        given
    }

    pub(super) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A Docker configuration with a login for all these registries.
    pub(super) fn docker_config(&self, registries: &[&Registry]) -> String {
        let mut auths = serde_json::Map::new();
        for registry in registries {
            let one: Value =
                serde_json::from_str(&registry.docker_config(ALICE)).expect("a configuration");
            let one = one["auths"].as_object().expect("an object").clone();
            auths.extend(one);
        }
        let path = self.file(
            "docker.json",
            json!({ "auths": auths }).to_string().as_bytes(),
        );
        path.display().to_string()
    }

    pub(super) async fn check(&self, arguments: &[&str]) -> Checked {
        let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
            .arg("check")
            .args(arguments)
            .env_clear()
            .env("CONFIG_FILE", self.folder.path().join("config.yaml"))
            .envs(self.environment.iter().copied())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the program runs");
        Checked {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).expect("text"),
            error: String::from_utf8(output.stderr).expect("text"),
        }
    }

    pub(super) async fn check_json(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let checked = self
            .check(&[&["--output", "json"], arguments].concat())
            .await;
        let list = serde_json::from_str(&checked.output)
            .unwrap_or_else(|error| panic!("{error}: {} {}", checked.output, checked.error));
        (checked.code, list)
    }
}
