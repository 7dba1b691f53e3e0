//! No two modules of a crate need each other: what one of them is can be understood without the other.
//!
//! A module and those inside it are one thing here: a parent names its children to make them up, and they name what it
//! gives all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::house::files;

/// The segments of a path.
type Module = Vec<String>;

#[test]
fn no_modules_of_a_crate_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = fs::read_dir(root.join("crates")).expect("a folder");
    let crates = crates.map(|entry| entry.expect("an entry").path());
    for folder in crates.chain([root.join("controller")]) {
        let sources = folder.join("src");
        let named = files(&sources).into_iter().map(|file| {
            let name = file.strip_prefix(&sources).expect("below it");
            (
                module(name),
                fs::read_to_string(&file).expect("a source file"),
            )
        });
        let circle = circle(&named.collect());
        assert_eq!(circle, None, "in {}", folder.display());
    }
}

#[test]
fn a_circle_is_found_whatever_form_its_imports_have() {
    let found = |files: &[(&str, &str)]| {
        let named = files
            .iter()
            .map(|(file, code)| (module(Path::new(file)), (*code).to_owned()));
        circle(&named.collect()).map(|circle| circle.join(" -> "))
    };
    let one_way = [("a.rs", "use crate::b::C;"), ("b.rs", "")];
    assert_eq!(found(&one_way), None);
    let groups = [
        ("a.rs", ""),
        ("a/x.rs", "use super::{\n    y::{self, Z},\n    W,\n};"),
        ("a/y.rs", "fn f() -> crate::a::x::V { todo!() }"),
    ];
    assert_eq!(found(&groups).as_deref(), Some("a::x -> a::y -> a::x"));
    let parent = [
        ("a.rs", "mod x;\nuse self::x::X;"),
        ("a/x.rs", "use super::Y;"),
    ];
    assert_eq!(found(&parent), None);
    let in_tests = [
        ("a.rs", "use crate::b::C;"),
        ("b.rs", "\n#[cfg(test)]\nmod tests { use crate::a::D; }"),
    ];
    assert_eq!(found(&in_tests), None);
}

/// The module that a file below `src` is.
fn module(file: &Path) -> Module {
    let name = file.with_extension("").display().to_string();
    let segments = name.split('/').map(str::to_owned);
    let is_root = |name: &String| name == "lib" || name == "main";
    segments.filter(|name| !is_root(name)).collect()
}

/// Modules that import each other, the first of them at both ends; nothing where there are none.
fn circle(files: &BTreeMap<Module, String>) -> Option<Vec<String>> {
    let imports: BTreeMap<_, BTreeSet<_>> = files
        .iter()
        .map(|(own, code)| {
            let (code, _) = code.split_once("\n#[cfg(test)]").unwrap_or((code, ""));
            let named = paths(code).into_iter();
            let named = named.filter_map(|path| target(own, &path, files));
            (own, named.collect())
        })
        .collect();
    let mut done = BTreeSet::new();
    let mut walked = Vec::new();
    imports
        .keys()
        .find_map(|start| walk(start, &imports, &mut walked, &mut done))
}

fn walk<'m>(
    module: &'m Module,
    imports: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
    walked: &mut Vec<&'m Module>,
    done: &mut BTreeSet<&'m Module>,
) -> Option<Vec<String>> {
    if let Some(start) = walked.iter().position(|walked| *walked == module) {
        let circle = walked.iter().skip(start).chain([&module]);
        return Some(circle.map(|module| module.join("::")).collect());
    }
    if !done.insert(module) {
        return None;
    }
    walked.push(module);
    let found = imports[module]
        .iter()
        .find_map(|next| walk(next, imports, walked, done));
    walked.pop();
    found
}

/// The module beside its own that a path leads to.
fn target<'m>(
    own: &Module,
    path: &[String],
    files: &'m BTreeMap<Module, String>,
) -> Option<&'m Module> {
    let mut found: Module = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" | "self" => own.clone(),
        _ => return None,
    };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => drop(found.pop()),
            name => {
                found.push(name.to_owned());
                if !files.contains_key(&found) {
                    found.pop();
                    break;
                }
            }
        }
    }
    let (module, _) = files.get_key_value(&found)?;
    (!own.starts_with(module) && !module.starts_with(own)).then_some(module)
}

/// All paths that begin within the crate, those of groups one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let lines = code.lines().map(str::trim_start);
    let code: String = lines
        .filter(|line| !line.starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let is_of_a_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let mut paths = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (start, _) in code.match_indices(root) {
            if code[..start].ends_with(is_of_a_path) {
                continue;
            }
            expand(&code[start..], &mut Vec::new(), &mut paths);
        }
    }
    paths
}

/// Reads one tree of paths, and returns what follows it.
fn expand<'c>(mut code: &'c str, before: &mut Module, paths: &mut Vec<Module>) -> &'c str {
    let known = before.len();
    loop {
        code = code.trim_start();
        let end = code.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let (segment, rest) = code.split_at(end.unwrap_or(code.len()));
        if !segment.is_empty() {
            before.push(segment.to_owned());
        }
        code = rest;
        if let Some(rest) = code.strip_prefix("::") {
            code = rest;
        } else if let Some(mut rest) = code.strip_prefix('{').filter(|_| segment.is_empty()) {
            while !rest.trim_start().starts_with('}') {
                let after = expand(rest, before, paths).trim_start();
                let after = after.trim_start_matches([',', '*']);
                assert!(after.len() < rest.len(), "cannot read {rest:.60}");
                rest = after;
            }
            code = rest.trim_start().strip_prefix('}').unwrap_or_default();
            break;
        } else {
            paths.push(before.clone());
            break;
        }
    }
    before.truncate(known);
    code
}
