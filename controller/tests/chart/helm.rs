//! Helm as users run it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use kube_autorollout_testbed::programs::{Program, Programs};
use serde_json::Value;
use tempfile::TempDir;

/// The chart.
pub(crate) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/kube-autorollout");

/// The versions of Helm that people have.
pub(crate) const VERSIONS: [Program; 2] = [Program::Helm3, Program::Helm4];

/// A generous deadline for what has to happen, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The API of Kubernetes 1.36 and later that the policy for pins needs.
pub(crate) const ADMISSION: &str = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";

/// One version of Helm.
pub(crate) struct Helm {
    file: PathBuf,
    /// Of what Helm itself writes.
    home: TempDir,
}

impl Helm {
    pub(crate) fn new(version: Program) -> Self {
        Self {
            file: Programs::tool(version, &|_| ()).expect("Helm is built"),
            home: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Runs a command of Helm with these values.
    fn run(&self, command: &[&str], values: &str) -> Output {
        let file = self.home.path().join("values.yaml");
        fs::write(&file, values).expect("a file");
        Command::new(&self.file)
            .args(command)
            .args(["--values".as_ref(), file.as_os_str()])
            .env("HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .output()
            .expect("Helm runs")
    }

    /// Runs a command on a release of a cluster, and gives what it writes or why it failed. Values are given only to those
    /// commands that take some.
    pub(crate) fn on(
        &self,
        kubeconfig: &Path,
        namespace: &str,
        command: &[&str],
        values: &Value,
    ) -> Result<String, String> {
        let mut line = command.to_vec();
        line.extend(["--namespace", namespace, "--timeout", "60s"]);
        let mut helm = Command::new(&self.file);
        helm.args(line)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", kubeconfig)
            .env("NO_PROXY", "127.0.0.1");
        if matches!(command.first(), Some(&"install" | &"upgrade")) {
            let file = self.home.path().join("values.yaml");
            fs::write(&file, values.to_string()).expect("a file");
            helm.arg("--values").arg(file);
        }
        let output = helm.output().expect("Helm runs");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(said(&output.stdout))
        } else {
            Err(said(&output.stderr))
        }
    }

    /// Runs a command on a cluster, with the files of a folder.
    pub(crate) fn run_in(&self, folder: &Path, kubeconfig: &Path, command: &[&str]) -> Output {
        Command::new(&self.file)
            .args(command)
            .current_dir(folder)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", kubeconfig)
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("Helm runs")
    }

    /// What `helm lint --strict` says, if it is not content.
    pub(crate) fn lint(&self, values: &str) -> Result<(), String> {
        let output = self.run(&["lint", "--strict", CHART], values);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(()).ok_or(said)
    }

    /// Every object of the release `web` in the namespace `team`, on a cluster that has an API for the policy for pins.
    pub(crate) fn render(&self, values: &str) -> Result<Vec<Value>, String> {
        let options = ["--api-versions", ADMISSION];
        Ok(documents(&self.text("web", "team", &options, values)?))
    }

    /// What `helm template` writes.
    pub(crate) fn text(
        &self,
        release: &str,
        namespace: &str,
        options: &[&str],
        values: &str,
    ) -> Result<String, String> {
        let command = ["template", release, CHART, "--namespace", namespace];
        let output = self.run(&[&command[..], options].concat(), values);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).expect("text"))
    }
}

/// The objects in what `helm template` wrote.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple::<Value>(text).expect("YAML");
    documents.into_iter().filter(|one| !one.is_null()).collect()
}

/// The object of this kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name} is among {}", names(objects)))
}

/// Which objects there are.
pub(crate) fn names(objects: &[Value]) -> String {
    let name = |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        format!("{} {name}", object["kind"].as_str().unwrap_or_default())
    };
    objects.iter().map(name).collect::<Vec<_>>().join(", ")
}
