//! The house rules that a compiler does not check.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Every line of `cargo tree`: a package, its version and what else is said of it.
fn tree() -> Vec<String> {
    let arguments = [
        "tree",
        "--package",
        "kube-autorollout",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--locked",
    ];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .expect("cargo tree");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn there_is_one_tls_provider_and_one_of_each_large_library() {
    let tree = tree();
    let versions = |name: &str| {
        let lines = tree
            .iter()
            .filter(|line| line.split(' ').next() == Some(name));
        lines
            .filter_map(|line| line.split(' ').nth(1))
            .collect::<BTreeSet<_>>()
    };
    for library in [
        "hyper",
        "rustls",
        "tokio",
        "ring",
        "kube",
        "k8s-openapi",
        "jiff",
    ] {
        assert_eq!(
            versions(library).len(),
            1,
            "{library}: {:?}",
            versions(library)
        );
    }
    for unwanted in [
        "aws-lc-rs",
        "openssl",
        "native-tls",
        "reqwest",
        "axum",
        "chrono",
        "serde_yaml",
        "anyhow",
    ] {
        assert_eq!(versions(unwanted), BTreeSet::new(), "{unwanted}");
    }
}

/// What only some rooms may name, and which.
const RULES: &[(&str, &[&str])] = &[
    ("figment", &["config/"]),
    ("prometheus::", &["metrics", "app.rs"]),
    (
        "k8s_openapi::",
        &[
            "rollout/patch",
            "registry/credentials/",
            "status/recorder",
            "rollout/",
            "leader_election/lease",
            "client/list_stream",
            "observe/nodes",
            "observe/pods/",
            "status.rs",
            "workload",
        ],
    ),
    (
        "kube_autorollout_registry",
        &[
            "check",
            "config",
            "controller/context.rs",
            "registry/",
            "observe/",
            "metrics/registry_observer",
            "registry_error.rs",
            "registry_options.rs",
            "app.rs",
        ],
    ),
    // for its certificates and digests
    (
        "kube_autorollout_testbed",
        &["client/authority/tests.rs", "observe/manifests/tests.rs"],
    ),
];

#[test]
fn each_room_names_only_what_is_its_own() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in files(&sources) {
        let name = file
            .strip_prefix(&sources)
            .expect("below it")
            .display()
            .to_string();
        let text = fs::read_to_string(&file).expect("a source file");
        for (word, rooms) in RULES {
            let permitted = rooms.iter().any(|room| name.starts_with(room));
            assert!(permitted || !text.contains(word), "{name} names {word}");
        }
    }
}

#[test]
fn observing_and_applying_do_not_know_each_other() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text = |name: &str| fs::read_to_string(sources.join(name)).expect("a source file");
    assert!(!text("rollout/patch.rs").contains("observe::"));
    assert!(!text("observe.rs").contains("apply::"));
    assert!(!text("observe/container.rs").contains("apply::"));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
