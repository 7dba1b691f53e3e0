//! The layers of this crate: each imports those below it only, and no modules import each other in a cycle.

use std::path::Path;

use kube_autorollout_testbed::modules::{Imports, cycles, imports, sources};

/// From the top. Modules import from the lines below theirs only.
const LAYERS: &[&[&str]] = &[
    &["lib"],
    &["external_client"],
    &["client"],
    &["manifest"],
    &["auth"],
    &["http"],
    &["observer", "host_options"],
    &["keyring"],
    &[
        "endpoint",
        "certificate",
        "host_pattern",
        "single_flight",
        "takeover_lock",
    ],
    &["error"],
    &["backoff", "cache", "credential", "origin", "reference"],
];

fn layer(module: &str) -> usize {
    let top = module.split("::").next().unwrap_or_default();
    let layer = LAYERS.iter().position(|layer| layer.contains(&top));
    layer.unwrap_or_else(|| panic!("{module} is in no layer"))
}

/// Imports that do not lead downwards.
fn strays(imports: &Imports) -> Vec<String> {
    let top = |module: &str| module.split("::").next().map(str::to_owned);
    let arrows = imports
        .iter()
        .flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
    let strays = arrows.filter(|(from, to)| top(from) != top(to) && layer(from) >= layer(to));
    strays.map(|(from, to)| format!("{from} → {to}")).collect()
}

/// The imports of this crate.
fn ours() -> Imports {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    imports(&sources(&folder).expect("the sources"))
}

#[test]
fn layers_import_downwards_only() {
    let imports = ours();
    assert!(imports.len() > 40, "{} modules", imports.len());
    assert_eq!(strays(&imports), [""; 0]);
}

#[test]
fn no_modules_import_each_other_in_a_cycle() {
    assert_eq!(cycles(ours()), [""; 0]);
}

#[test]
fn upward_imports_would_be_found() {
    let sources = [
        (
            "http::retry",
            "use crate::{error::Error, auth::token::Token};",
        ),
        ("auth::token", "use crate::http;"),
        ("http", ""),
        ("error", "use std::fmt;"),
    ];
    let owned = |(module, source): (&str, &str)| (module.to_owned(), source.to_owned());
    let imports = imports(&sources.into_iter().map(owned).collect());
    assert_eq!(strays(&imports), ["http::retry → auth::token"]);
}
