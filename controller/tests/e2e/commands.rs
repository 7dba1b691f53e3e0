//! The commands that the pages show: those of kubectl and `check` are run, of the others it is seen that they exist. Those
//! of Helm are run by the tests of the chart.

mod run;

use crate::pages::{blocks, page, pages, root, typed};

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
