//! What runs outside of this workspace: workflows and scripts, read by the linters of their languages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kube_autorollout_testbed::{
    installed,
    programs::{Program, Programs},
};

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
    assert_content_with(&shellcheck, &[root().join(".ci/run")]);
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
