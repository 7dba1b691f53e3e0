//! The house rules that a compiler does not check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use kube_autorollout_testbed::modules::{self, Imports, cycles, imports};

/// Every line of `cargo tree`: a package, its version and further properties.
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

/// Names that only some folders may know, and which.
const NAMES: &[(&str, &[&str])] = &[
    ("figment", &["config/"]),
    ("prometheus::", &["metrics", "app.rs"]),
    (
        "k8s_openapi::",
        &[
            "client/list_stream",
            "leader_election/lease",
            "observe/nodes",
            "observe/pods/",
            "registry/credentials/",
            "status/recorder",
            "workload",
        ],
    ),
    (
        "kube_autorollout_cloud",
        &[
            "app.rs",
            "app/controllers.rs",
            "app/check",
            "config",
            "metrics/registry_observer",
            "observe.rs",
            "registry/",
        ],
    ),
    (
        "kube_autorollout_registry",
        &[
            "app.rs",
            "app/controllers.rs",
            "app/check",
            "app/hint",
            "app/status",
            "config",
            "hints/",
            "metrics/registry_observer",
            "notifications",
            "observe",
            "overview/",
            "registry/",
        ],
    ),
    // For its certificates, digests and servers
    (
        "kube_autorollout_testbed",
        &[
            "client/",
            "notifications/tests.rs",
            "observe/manifests/tests.rs",
        ],
    ),
];

/// The folders of the controller. Each knows only those that come before it.
const LAYERS: [&str; 19] = [
    "clock",
    "constants",
    "error_chain",
    "workload",
    "lookup",
    "config",
    "client",
    "leader_election",
    "registry",
    "metrics",
    "notifications",
    "observe",
    "rollout",
    "status",
    "server",
    "controller",
    "hints",
    "overview",
    "app",
];

/// Each source file of the controller, with its text without unit tests.
fn sources() -> Vec<(String, String)> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = modules::files(&sources).expect("the sources");
    let named = files.into_iter().map(|file| {
        let name = file.strip_prefix(&sources).expect("below it");
        let name = name.display().to_string();
        let text = fs::read_to_string(&file).expect("a source file");
        (name, text)
    });
    named.collect()
}

#[test]
fn each_folder_names_only_what_is_its_own() {
    for (file, text) in sources() {
        for (name, folders) in NAMES {
            let permitted = folders.iter().any(|folder| file.starts_with(folder));
            assert!(permitted || !text.contains(name), "{file} names {name}");
        }
    }
}

#[test]
fn each_folder_imports_only_those_below_it() {
    let top = |module: &str| module.split("::").next().map(str::to_owned);
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for (module, targets) in imports_of(Path::new(env!("CARGO_MANIFEST_DIR"))) {
        let own = top(&module).unwrap_or_default();
        let imported = targets.iter().filter_map(|target| top(target));
        for import in imported.filter(|import| own != "main" && *import != own) {
            let (below, above) = (layer(&import), layer(&own));
            assert!(below.is_some(), "{import} is in no layer");
            assert!(
                below < above,
                "{module} imports {import}, which is not below {own}"
            );
        }
    }
}

/// Layers say nothing of modules within one, nor of the other crates. A parent names its children to make them up, and
/// they name what it has for all of them.
#[test]
fn no_modules_of_a_crate_import_each_other() {
    for folder in crates() {
        let mut imports = imports_of(&folder);
        let is_within = |inner: &str, outer: &str| {
            let rest = inner.strip_prefix(outer);
            rest.is_some_and(|rest| rest.starts_with("::")) || matches!(outer, "lib" | "main")
        };
        for (module, targets) in &mut imports {
            targets.retain(|target| !is_within(target, module) && !is_within(module, target));
        }
        assert_eq!(cycles(imports), [""; 0], "in {}", folder.display());
    }
}

/// A longer file has more than one reason to change.
#[test]
fn no_source_file_has_more_than_350_lines() {
    for folder in crates() {
        let files = modules::files(&folder.join("src")).expect("the sources");
        let is_test = |file: &Path| {
            let mut parts = file.iter();
            parts.any(|part| part == "tests" || part == "tests.rs")
        };
        for file in files.iter().filter(|file| !is_test(file)) {
            let text = fs::read_to_string(file).expect("a source file");
            let lines = text.lines().count();
            assert!(lines <= 350, "{} has {lines} lines", file.display());
        }
    }
}

/// The folders of all crates.
fn crates() -> impl Iterator<Item = PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = fs::read_dir(root.join("crates")).expect("a folder");
    let crates = crates.map(|entry| entry.expect("an entry").path());
    crates.chain([root.join("controller")])
}

/// What the modules of a crate import from each other.
fn imports_of(folder: &Path) -> Imports {
    imports(&modules::sources(&folder.join("src")).expect("the sources"))
}
