//! The commands that the pages show: those of kubectl and `check` are run, of the others it is seen that they exist. Those
//! of Helm are run by the tests of the chart.

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

use crate::{
    harness::World,
    pages::{blocks, page, pages, root, typed},
};

/// Every command of a page: the lines of its blocks, and code within sentences that begins with a program's name.
fn commands(page: &str) -> Vec<String> {
    let mut commands: Vec<_> = blocks(page, "console")
        .iter()
        .flat_map(|block| typed(block))
        .collect();
    let sentences = page.split("```").step_by(2);
    let code = sentences.flat_map(|text| text.split('`').skip(1).step_by(2));
    let code = code.map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "));
    let programs = ["cargo ", "helm ", "just ", "kube-autorollout ", "kubectl "];
    let is_command = |code: &String| programs.iter().any(|program| code.starts_with(program));
    commands.extend(code.filter(is_command));
    commands
}

/// The commands of clouds, which need an account: those that were looked up in their documentation.
const CLOUDS: [&[&str]; 16] = [
    &["iam", "create-role", "--role-name"],
    &["iam", "attach-role-policy", "--role-name"],
    &["eks", "create-pod-identity-association", "--cluster-name"],
    &["artifacts", "repositories", "add-iam-policy-binding"],
    &["iam", "workload-identity-pools", "create-cred-config"],
    &["identity", "create", "--resource-group"],
    &[
        "identity",
        "federated-credential",
        "create",
        "--resource-group",
    ],
    &["role", "assignment", "create", "--role"],
    &["acr", "webhook", "create", "--registry"],
    &["acr", "webhook", "ping", "--registry"],
    &["events", "put-rule", "--name"],
    &["events", "create-connection", "--name"],
    &["events", "create-api-destination", "--name"],
    &["events", "put-targets", "--rule"],
    &["pubsub", "topics", "create"],
    &["pubsub", "subscriptions", "create"],
];

/// Why a command is not one that is there; those that other tests run are.
fn mistake(line: &str) -> Option<String> {
    let is_assignment =
        |word: &&str| word.split('=').next() != Some(*word) && !word.starts_with('-');
    let words: Vec<_> = line.split_whitespace().skip_while(is_assignment).collect();
    let (program, arguments) = words.split_first()?;
    let program = program.rsplit('/').next()?;
    let wrong = |what: &str| Some(format!("{line}: {what}"));
    match (program, arguments) {
        ("kubectl", _) => line
            .split_once(" -- ")
            .and_then(|(_, inside)| mistake(inside)),
        ("helm", _) => None,
        ("kube-autorollout", ["check", rest @ ..]) => unknown_option(&["check", "--help"], rest),
        ("kube-autorollout", ["hint", rest @ ..]) => unknown_option(&["hint", "--help"], rest),
        ("kube-autorollout", ["status", rest @ ..]) => unknown_option(&["status", "--help"], rest),
        ("kube-autorollout", rest) => unknown_option(&["--help"], rest),
        ("git", ["clone", from, ..]) if *from == env!("CARGO_PKG_REPOSITORY") => None,
        ("just", [recipe, ..]) if page("justfile").contains(&format!("\n{recipe}")) => None,
        (
            "cargo",
            [
                "build" | "clippy" | "deny" | "fmt" | "run" | "test",
                rest @ ..,
            ],
        ) => missing_target(rest),
        ("cargo", [alias, rest @ ..]) => {
            let aliases = page(".cargo/config.toml");
            let Some((_, alias)) = aliases.split_once(&format!("\n{alias} = ")) else {
                return wrong("cargo has no such alias");
            };
            let bin = alias.split("--bin ").nth(1)?.split(' ').next()?;
            let source = page(&format!("crates/testbed/src/bin/{bin}/arguments.rs"));
            let mut options = rest.iter().filter_map(|word| word.strip_prefix("--"));
            let unknown =
                options.find(|name| !name.is_empty() && !source.contains(&format!("\"{name}\"")));
            unknown.and_then(wrong)
        }
        ("aws" | "az" | "gcloud", arguments) => {
            let known = CLOUDS.iter().any(|known| arguments.starts_with(known));
            (!known).then(|| format!("{line}: this command is not known here"))
        }
        ("cosign", ["verify", rest @ ..]) => rest.iter().find_map(|word| unsigned(word)),
        ("docker", ["buildx", "imagetools", "inspect", image, ..]) => unsigned(image),
        _ => wrong("no test knows this command"),
    }
}

/// An option that the help of our program does not name.
fn unknown_option(help: &[&str], arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
        .args(help)
        .output()
        .expect("the program runs");
    let help = String::from_utf8(output.stdout).expect("text");
    let mut options = arguments.iter().filter(|word| word.starts_with("--"));
    let unknown = options.find(|option| !help.contains(*option))?;
    Some(format!("{unknown} is no option"))
}

/// A package, a binary or a test that the workspace does not have.
fn missing_target(arguments: &[&str]) -> Option<String> {
    let manifests = [
        "controller",
        "crates/cloud",
        "crates/core",
        "crates/hints",
        "crates/notifications",
        "crates/overview",
        "crates/registry",
        "crates/testbed",
        "crates/tls",
    ];
    let manifests = manifests.map(|folder| page(&format!("{folder}/Cargo.toml")));
    arguments.windows(2).find_map(|pair| {
        let there = match pair {
            ["--package", name] => {
                let line = format!("name = \"{name}\"\n");
                manifests.iter().any(|manifest| manifest.contains(&line))
            }
            ["--bin", name] => root().join("crates/testbed/src/bin").join(name).exists(),
            ["--test", name] => root().join("controller/tests").join(name).exists(),
            _ => true,
        };
        (!there).then(|| format!("there is no {}", pair[1]))
    })
}

/// An image, chart or workflow that is not of this version and this repository.
fn unsigned(word: &str) -> Option<String> {
    let chart: serde_json::Value =
        serde_saphyr::from_str(&page("charts/kube-autorollout/Chart.yaml")).expect("YAML");
    let version = chart["version"].as_str().expect("a version");
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    let workflow = ".github/workflows/release.yml";
    assert!(root().join(workflow).exists());
    let known = [
        format!("ghcr.io/juv/kube-autorollout:{tag}"),
        format!("ghcr.io/juv/charts/kube-autorollout:{version}"),
        format!(
            "{}/{workflow}@refs/tags/{tag}",
            env!("CARGO_PKG_REPOSITORY")
        ),
    ];
    let is_ours = word.contains("juv/");
    (is_ours && !known.iter().any(|known| known == word)).then(|| format!("{word} is not ours"))
}

#[test]
fn every_command_that_is_shown_is_there() {
    let mut seen = 0;
    for name in pages() {
        for line in commands(&page(&name)) {
            assert_eq!(mistake(&line), None, "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen >= 60, "only {seen} commands were found");
}

#[test]
fn a_command_that_is_not_there_is_found() {
    for line in [
        "cargo demo --nothing",
        "cargo nothing",
        "cargo test --package nothing",
        "CHAOS_SEED=7 cargo test --test nothing",
        "cosign verify ghcr.io/juv/kube-autorollout:v0.0.1",
        "git clone https://example.com",
        "just nothing",
        "kube-autorollout --nothing",
        "kube-autorollout check --nothing IMAGE",
        "kube-autorollout hint --nothing IMAGE",
        "kubectl exec deployment/web -- /kube-autorollout --nothing",
        "nothing",
    ] {
        assert!(mistake(line).is_some(), "{line}");
    }
}

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
