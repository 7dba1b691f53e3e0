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
            "app/term.rs",
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
            "app/term.rs",
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
    let named = files(&sources).into_iter().map(|file| {
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
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for (file, text) in sources() {
        if file == "main.rs" || file.contains("tests") {
            continue;
        }
        let own = file.split(['/', '.']).next().expect("a name");
        let own_layer = layer(own).unwrap_or_else(|| panic!("{file} is in no layer"));
        let (code, _) = text
            .split_once("#[cfg(test)]\nmod tests")
            .unwrap_or((&text, ""));
        for import in imports(code) {
            let known = layer(&import).unwrap_or_else(|| panic!("{file} imports {import}"));
            assert!(
                import == own || known < own_layer,
                "{file} imports {import}, which is not below {own}"
            );
        }
    }
}

/// The first segments of all paths that begin with `crate`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut imports = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let Some(group) = path.strip_prefix('{') else {
            imports.insert(first_segment(path));
            continue;
        };
        let mut depth = 0;
        let mut entry = String::new();
        for letter in group.chars() {
            match letter {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => imports.extend([first_segment(&std::mem::take(&mut entry))]),
                _ if depth == 0 => entry.push(letter),
                _ => {}
            }
        }
        imports.insert(first_segment(&entry));
    }
    imports.remove("");
    imports
}

fn first_segment(path: &str) -> String {
    let path = path.trim();
    let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    path[..end.unwrap_or(path.len())].to_owned()
}

#[test]
fn imports_are_read_from_paths_and_groups() {
    let code = "use crate::{\n    a::{b, c::d},\n    e,\n};\nfn f() { crate::g::h() }";
    let expected = ["a", "e", "g"].map(str::to_owned);
    assert_eq!(imports(code), BTreeSet::from(expected));
}

pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
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
