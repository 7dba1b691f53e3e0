//! The layers of this crate: each knows those below it only, and no modules import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the top. What is in one line imports from the lines below it only.
const LAYERS: &[&[&str]] = &[
    &["lib"],
    &["token_client"],
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
        "lead",
        "single_flight",
    ],
    &["error"],
    &["backoff", "cache", "credential", "origin", "reference"],
];

/// A module's path, `http::retry` for example.
type Module = String;

/// The modules with their sources, without their tests.
fn modules() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| {
        let path = path.strip_prefix(&root).expect("a source");
        path.with_extension("")
            .display()
            .to_string()
            .replace('/', "::")
    };
    let sources = sources(&root).into_iter();
    let sources = sources.map(|path| (name(&path), fs::read_to_string(&path).expect("text")));
    let of_tests = |module: &str| {
        let mut parts = module.split("::");
        parts.any(|part| matches!(part, "tests" | "properties"))
    };
    sources
        .filter(|(module, _)| !of_tests(module))
        .map(|(module, source)| {
            let code = source.split("#[cfg(test)]\nmod tests {").next();
            (module, code.unwrap_or_default().to_owned())
        })
        .collect()
}

/// All files below a folder.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The paths in a tree of imports: `a::{b, c::d}` has `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().trim_end_matches("::self").to_owned()];
    };
    let group = group.trim().strip_suffix('}').expect("a whole group");
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| leaves(&format!("{}{}", prefix.trim(), part.trim())))
        .collect()
}

/// What follows `use` in a source.
fn trees(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.match_indices('\n').map(|(end, _)| end + 1);
    let rests = std::iter::once(0)
        .chain(lines)
        .map(|start| code[start..].trim_start());
    rests.filter_map(|rest| {
        let rest = ["pub(crate) ", "pub "]
            .iter()
            .find_map(|public| rest.strip_prefix(public))
            .unwrap_or(rest);
        rest.strip_prefix("use ")?.split(';').next()
    })
}

/// All paths of this crate that a source names, from the crate's root on.
fn paths(module: &str, source: &str) -> Vec<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = |path: &str| {
        let below = |base: &str, rest: &str| {
            let base = if base == "lib" { "" } else { base };
            format!("{base}::{rest}")
                .trim_start_matches("::")
                .to_owned()
        };
        let (first, rest) = path.split_once("::")?;
        match first {
            "crate" => Some(rest.to_owned()),
            "super" => Some(below(parent, rest)),
            "self" => Some(below(module, rest)),
            _ => None,
        }
    };
    let mut paths: Vec<String> = trees(&code).flat_map(leaves).collect();
    // And those that are written out.
    for (index, _) in code.match_indices("::") {
        let word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let first = code[..index].rsplit(|letter| !word(letter)).next();
        if matches!(first, Some("crate" | "super" | "self")) {
            let rest = code[index..].split(|letter: char| !word(letter) && letter != ':');
            let rest = rest.take(1).collect::<String>();
            // What is in braces was an import.
            if !rest.ends_with(':') {
                paths.push(format!("{}{rest}", first.unwrap_or_default()));
            }
        }
    }
    paths.iter().filter_map(|path| absolute(path)).collect()
}

/// Which modules each module imports from.
fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let module_of = |path: &str| {
        let mut path = path;
        loop {
            if modules.contains_key(path) {
                return Some(path.to_owned());
            }
            path = path.rsplit_once("::")?.0;
        }
    };
    let each = modules.iter().map(|(module, source)| {
        let paths = paths(module, source);
        let mut targets: BTreeSet<_> = paths.iter().filter_map(|path| module_of(path)).collect();
        targets.remove(module);
        (module.clone(), targets)
    });
    each.collect()
}

fn layer(module: &str) -> usize {
    let top = module.split("::").next().unwrap_or_default();
    let layer = LAYERS.iter().position(|layer| layer.contains(&top));
    layer.unwrap_or_else(|| panic!("{module} is in no layer"))
}

/// The imports that lead up, or sideways.
fn strays(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let top = |module: &str| module.split("::").next().map(str::to_owned);
    let arrows = imports
        .iter()
        .flat_map(|(from, targets)| targets.iter().map(move |to| (from, to)));
    let strays = arrows.filter(|(from, to)| top(from) != top(to) && layer(from) >= layer(to));
    strays.map(|(from, to)| format!("{from} → {to}")).collect()
}

/// What is left when the modules that import nothing that is left, or that nothing imports that is left, are taken away
/// again and again: the circles, with the imports that lead on.
fn circles(mut imports: BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    loop {
        let before = imports.len();
        let used: BTreeSet<_> = imports.values().flatten().cloned().collect();
        let left: BTreeSet<_> = imports.keys().cloned().collect();
        imports.retain(|module, targets| {
            targets.retain(|target| left.contains(target));
            used.contains(module) && !targets.is_empty()
        });
        if imports.len() == before {
            let left = imports.into_iter();
            return left.map(|(from, to)| format!("{from} → {to:?}")).collect();
        }
    }
}

#[test]
fn layers_import_downwards_only() {
    let imports = imports(&modules());
    assert!(imports.len() > 40, "{} modules", imports.len());
    assert_eq!(strays(&imports), [""; 0]);
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    assert_eq!(circles(imports(&modules())), [""; 0]);
}

#[test]
fn strays_and_circles_would_be_found() {
    let sources = [
        (
            "lib",
            "mod http;\npub use crate::http::{Client, retry::Retry as Again};",
        ),
        ("http", "mod retry;\npub(crate) use self::retry::Retry;"),
        (
            "http::retry",
            "use super::circuit;\nuse crate::{error::{Error, ErrorKind}, auth::token::Token};",
        ),
        ("http::circuit", "fn f() -> super::retry::Retry { todo() }"),
        ("auth", "mod token; // use crate::client::Client;"),
        ("auth::token", "use crate::http;"),
        ("error", "use std::fmt;"),
    ];
    let owned = |(module, source): (&str, &str)| (module.to_owned(), source.to_owned());
    let imports = imports(&sources.into_iter().map(owned).collect());
    assert_eq!(strays(&imports), ["http::retry → auth::token"]);
    let found = [
        r#"auth::token → {"http"}"#,
        r#"http → {"http::retry"}"#,
        r#"http::circuit → {"http::retry"}"#,
        r#"http::retry → {"auth::token", "http::circuit"}"#,
    ];
    assert_eq!(circles(imports), found);
}
