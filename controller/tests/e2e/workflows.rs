//! What runs outside of this workspace: workflows and scripts, read by the linters of their languages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kube_autorollout_testbed::{
    installed,
    programs::{Program, Programs},
};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn workflows() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(".github/workflows")).expect("workflows");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.collect()
}

fn assert_content_with(linter: &Path, files: &[PathBuf]) {
    assert!(!files.is_empty());
    let output = Command::new(linter).args(files).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let actionlint = Programs::tool(Program::Actionlint, &|_| ()).expect("Go builds it");
    assert_content_with(&actionlint, &workflows());
}

#[test]
fn shellcheck_finds_nothing_in_the_scripts() {
    let Some(shellcheck) = installed("shellcheck") else {
        return;
    };
    let entries = fs::read_dir(root().join(".ci")).expect("scripts");
    let scripts: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_content_with(&shellcheck, &scripts);
}

#[test]
fn every_action_is_pinned_by_its_commit_and_tells_its_version() {
    let mut seen = 0;
    for file in workflows() {
        let text = fs::read_to_string(&file).expect("a workflow");
        let uses = text.lines().filter_map(|line| {
            let line = line.trim_start().trim_start_matches("- ");
            line.strip_prefix("uses: ")
        });
        for action in uses.filter(|action| !action.starts_with("./")) {
            let (_, pin) = action.split_once('@').expect("a version");
            let (commit, version) = pin.split_once(" # v").expect("a version to read");
            let hexadecimal = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(commit.len() == 40 && hexadecimal, "{action}");
            assert!(
                version.starts_with(|first: char| first.is_ascii_digit()),
                "{action}"
            );
            seen += 1;
        }
    }
    assert!(seen > 0, "no action was found");
}

/// The packages that can be published, each behind those that it depends on.
fn published() -> Vec<String> {
    let arguments = [
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ];
    let output = Command::new(env!("CARGO")).args(arguments).output();
    let metadata = output.expect("cargo runs").stdout;
    let metadata: Value = serde_json::from_slice(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let packages = packages.filter(|package| package["publish"].is_null());
    let mut left: BTreeMap<&str, Vec<&str>> = packages
        .map(|package| {
            let needed = package["dependencies"].as_array().expect("a list").iter();
            let needed = needed.filter(|needed| needed["kind"] != "dev");
            let names = needed.filter_map(|needed| needed["name"].as_str());
            (package["name"].as_str().expect("a name"), names.collect())
        })
        .collect();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let free = left
            .iter()
            .find(|(_, needed)| !needed.iter().any(|name| left.contains_key(name)));
        let name = *free.expect("no circle").0;
        left.remove(name);
        ordered.push(name.to_owned());
    }
    ordered
}

#[test]
fn the_release_publishes_each_crate_after_those_that_it_depends_on() {
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml"));
    let workflow = workflow.expect("a workflow");
    let lines = workflow.lines().map(str::trim);
    let publish = "cargo publish --locked --package ";
    let names: Vec<_> = lines
        .filter_map(|line| line.strip_prefix(publish))
        .collect();
    assert_eq!(names, published());
}

#[test]
fn the_image_is_released_with_its_origin_a_list_of_what_is_inside_and_a_signature() {
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml"));
    let workflow: Value = serde_saphyr::from_str(&workflow.expect("a workflow")).expect("YAML");
    let steps = workflow["jobs"]["image"]["steps"]
        .as_array()
        .expect("steps");
    let build = steps.iter().find(|step| step["id"] == "build");
    let with = &build.expect("a step that builds")["with"];
    assert_eq!(with["platforms"], "linux/amd64,linux/arm64");
    assert_eq!(
        (&with["provenance"], &with["sbom"]),
        (&"mode=max".into(), &true.into())
    );
    for job in ["image", "chart"] {
        let job = &workflow["jobs"][job];
        assert_eq!(job["permissions"]["id-token"], "write", "{job}");
        let steps = job["steps"].as_array().expect("steps").iter();
        let signs = |step: &Value| {
            let run = step["run"].as_str();
            run.is_some_and(|run| run.contains("cosign sign --yes"))
        };
        assert_eq!(steps.filter(|step| signs(step)).count(), 1, "{job}");
    }
}

/// What the script of the release's last job writes for a version of a changelog, or why it refuses.
fn release_notes(version: &str, changelog: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("CHANGELOG.md");
    fs::write(&file, changelog).expect("a file");
    let script = root().join(".ci/release-notes");
    let output = Command::new(script)
        .arg(version)
        .arg(file)
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

#[test]
fn the_version_of_the_workspace_has_its_notes_and_the_release_asks_for_them() {
    let workflow = fs::read_to_string(root().join(".github/workflows/release.yml"));
    let command = r#".ci/release-notes "${GITHUB_REF_NAME#v}" >notes.md"#;
    assert!(workflow.expect("a workflow").contains(command));
    let version = env!("CARGO_PKG_VERSION");
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).expect("a changelog");
    let heading = format!("\n## [{version}]");
    let begin = changelog.find(&heading).expect("its heading");
    let notes = release_notes(version, &changelog[begin..]).expect("notes");
    let expected = changelog[begin..].split("\n## ").nth(1).expect("a section");
    let (_, expected) = expected.split_once('\n').expect("lines");
    assert_eq!(notes.trim_end(), expected.trim());
}

#[test]
fn notes_are_of_one_version_and_of_none_that_is_not_ready() {
    let changelog = |unreleased: &str| {
        format!(
            "# Changelog\n\n## [Unreleased]\n{unreleased}\n## [1.1.0]\n\n### Added\n\n- B\n\n## [1.1.0-rc.1] - 2026-01-01\n\n- A\n"
        )
    };
    let ready = changelog("");
    assert_eq!(
        release_notes("1.1.0", &ready).as_deref(),
        Ok("### Added\n\n- B\n")
    );
    assert_eq!(release_notes("1.1.0-rc.1", &ready).as_deref(), Ok("- A\n"));
    let missing = release_notes("1.1", &ready).expect_err("no such section");
    assert!(missing.contains("nothing under [1.1]"), "{missing}");
    let forgotten = release_notes("1.1.0", &changelog("\n- C\n")).expect_err("not ready");
    assert!(
        forgotten.contains("[Unreleased] belongs under [1.1.0]"),
        "{forgotten}"
    );
}
