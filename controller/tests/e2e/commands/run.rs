//! The commands of kubectl and `check`, run.

use std::{fs, os::unix::fs::symlink, path::Path};

use kube_autorollout_testbed::{
    image::{Image, ImageIndex, Pusher},
    programs::{Program, Programs},
    registry::{ALICE, Access, Registry},
    shared,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{process::Command, task::spawn_blocking};

use super::commands;
use crate::{
    harness::World,
    pages::{blocks, page, pages, root},
};

/// A folder with the programs, the manifests and the configuration that commands name.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let link = |from: &Path, name| symlink(from, at(name)).expect("a link");
        fs::create_dir(at("bin")).expect("a folder");
        let ours = env!("CARGO_BIN_EXE_kube-autorollout").as_ref();
        link(ours, "bin/kube-autorollout");
        let deploy = fs::canonicalize(root().join("deploy")).expect("a folder");
        link(&deploy, "deploy");
        fs::write(at("config.yaml"), configuration).expect("a file");
        Self { folder }
    }

    /// What a line writes in a shell. It fails as the last of its commands does.
    async fn run(&self, line: &str) -> Result<String, String> {
        let at = |name: &str| self.folder.path().join(name);
        let output = Command::new("sh")
            .args(["-euc", line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", at("kubeconfig"))
            .env("CONFIG_FILE", at("config.yaml"))
            .env("TOKEN", "secret")
            .kill_on_drop(true)
            .output()
            .await
            .expect("it ran");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!(
            "{line}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        ))
    }

    async fn must(&self, line: &str) -> String {
        let output = self.run(line).await;
        output.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The cluster of which the pages speak: the workload `web` in two namespaces, once paused.
const CLUSTER: &str = "
for namespace in web shop; do
    kubectl create namespace $namespace
    kubectl --namespace $namespace create deployment web --image $IMAGE
done
kubectl --namespace web rollout status deployment/web --timeout 60s
kubectl --namespace web rollout pause deployment/web
kubectl config set-context --current --namespace web
";

/// A command as it can be run here, if it can.
fn runnable(line: &str, registry: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    match &*words {
        // What is only mentioned
        ["kubectl", rest @ ..] if rest.len() <= 2 && !line.contains('/') => {
            Some(format!("{line} --help"))
        }
        // No kubelet serves these here: that what they are about is there has to do
        ["kubectl", ..] if words.contains(&"logs") || words.contains(&"exec") => {
            let line = line.split(" | ").next()?.split(" -- ").next()?;
            let line = line.replace(" logs ", " get ").replace(" exec ", " get ");
            Some(line.replace(" --previous", ""))
        }
        ["kubectl", .., ports] if words.contains(&"port-forward") => {
            let line = line.strip_suffix(ports)?;
            Some(line.replace(" port-forward ", " get "))
        }
        ["kubectl", ..] => Some(line.to_owned()),
        ["kube-autorollout", "check", rest @ ..] => {
            let is_image = |word: &&&str| word.contains('/') && word.contains(':');
            let images: Vec<_> = rest.iter().filter(is_image).collect();
            let [image] = &*images else { return None }; // with its output, or a pattern
            let (host, _) = image.split_once('/')?;
            Some(line.replace(host, registry))
        }
        _ => None,
    }
}

#[tokio::test]
async fn every_command_of_kubectl_and_every_check_does_its_work() {
    let world = World::alone("documents").await;
    let registry = world.testbed.registry().host();
    let desk = Desk::new(&format!(
        "registries: [{{ hostnamePattern: '{registry}', plainHttp: true }}]"
    ));
    let kubectl = spawn_blocking(|| Programs::tool(Program::Kubectl, &|_| ())).await;
    let kubectl = kubectl.expect("it ran").expect("Go builds it");
    symlink(kubectl, desk.folder.path().join("bin/kubectl")).expect("a link");
    let kubeconfig = world.testbed.control_plane().kubeconfig();
    fs::copy(kubeconfig, desk.folder.path().join("kubeconfig")).expect("copied");
    let image = Image::new("documents");
    for (repository, tag) in [
        ("team/web", "main"),
        ("library/nginx", "latest"),
        ("docker/library/nginx", "latest"),
    ] {
        let pushed = world.pusher.push(&image, repository, tag).await;
        pushed.expect("pushed");
    }
    let own = concat!("ghcr.io/juv/kube-autorollout:v", env!("CARGO_PKG_VERSION"));
    let loaded = world.testbed.nodes().preload(own, &image);
    loaded.expect("a reference");
    let cluster = CLUSTER.replace("$IMAGE", &format!("{registry}/team/web:main"));
    desk.must(&cluster).await;

    let lines = pages().into_iter().flat_map(|name| commands(&page(&name)));
    let mut lines: Vec<_> = lines.filter_map(|line| runnable(&line, registry)).collect();
    // First what makes the objects that others are about
    lines.sort_by_key(|line| !(line.contains(" apply ") || line.contains(" create ")));
    for line in &lines {
        desk.must(line).await;
    }
    assert!(lines.len() >= 30, "only {} commands were run", lines.len());
    for wrong in [
        "kubectl --namespace shop describe deployment other",
        "kubectl rollout nothing deployment/web",
    ] {
        assert!(desk.run(wrong).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn the_page_about_registries_shows_what_check_prints() {
    let registry = Registry::start(shared().await.programs(), Access::Token).await;
    let registry = registry.expect("a registry");
    let platforms = ["amd64", "arm64"].map(|name| Image::new("page").platform("linux", name));
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let index = ImageIndex::of(platforms);
    let done = pusher.push(&index, "team/web", "main").await;
    done.expect("pushed");
    let desk = Desk::new("");
    let authority = desk.folder.path().join("ca.crt");
    fs::write(&authority, registry.ca_certificate()).expect("a file");
    let configuration = json!({ "registries": [{
        "hostnamePattern": registry.host(),
        "caCertificatePaths": [authority],
        "secret": { "type": "Opaque", "username": ALICE.name, "token": ALICE.password },
    }] });
    fs::write(
        desk.folder.path().join("config.yaml"),
        configuration.to_string(),
    )
    .expect("a file");

    let shown = blocks(&page("docs/registries.md"), "console");
    let shown = shown.iter().find(|block| block.starts_with("$ "));
    let mut block = shown.expect("a command with its output").clone();
    for host in ["ghcr.io", "registry.internal:5000"] {
        block = block.replace(host, registry.host());
    }
    let (command, output) = block.split_once('\n').expect("output");
    let command = command.trim_start_matches("$ ");
    let printed = desk.must(&format!("{command} || test $? = 1")).await;
    let digest = index.digest().to_string();
    let expected: Vec<_> = output
        .lines()
        .map(|line| match line.split_once("sha256:") {
            Some((begin, _)) => format!("{begin}{digest}"),
            None => line.to_owned(),
        })
        .collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
