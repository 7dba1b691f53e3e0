//! The modules of a crate, and what each imports from the others, for tests of its architecture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io, iter,
    path::{Path, PathBuf},
};

/// A module's path, `http::retry` for example; `lib` or `main` for the root.
pub type Module = String;

/// Which modules each module imports from.
pub type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// All files below a folder.
///
/// # Errors
///
/// When one of its folders cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// The modules below a crate's folder of sources, with their code, without tests.
///
/// # Errors
///
/// When one of its files cannot be read.
pub fn sources(folder: &Path) -> io::Result<BTreeMap<Module, String>> {
    let mut modules = BTreeMap::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        let module = name.with_extension("").display().to_string();
        let module = module.replace('/', "::");
        let mut parts = module.split("::");
        if parts.any(|part| matches!(part, "tests" | "properties")) {
            continue;
        }
        let source = fs::read_to_string(&path)?;
        let code = source.split("#[cfg(test)]\nmod tests {").next();
        modules.insert(module, code.unwrap_or_default().to_owned());
    }
    Ok(modules)
}

/// What each of these modules imports from the others.
pub fn imports(modules: &BTreeMap<Module, String>) -> Imports {
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

/// What is left when the modules that import nothing that is left, or that nothing imports that is left, are taken away
/// again and again: the import cycles, with the imports that lead on.
pub fn cycles(mut imports: Imports) -> Vec<String> {
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

/// All paths of this crate that a source names, from the crate's root on.
fn paths(module: &str, source: &str) -> Vec<String> {
    let code = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let absolute = |path: &str| {
        let below = |base: &str, rest: &str| {
            let base = if matches!(base, "lib" | "main") {
                ""
            } else {
                base
            };
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

/// What follows `use` in a source.
fn trees(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.match_indices('\n').map(|(end, _)| end + 1);
    let rests = iter::once(0)
        .chain(lines)
        .map(|start| code[start..].trim_start());
    rests.filter_map(|rest| {
        let rest = ["pub(crate) ", "pub(super) ", "pub "]
            .iter()
            .find_map(|public| rest.strip_prefix(public))
            .unwrap_or(rest);
        rest.strip_prefix("use ")?.split(';').next()
    })
}

/// The paths in a tree of imports: `a::{b, c::d}` has `a::b` and `a::c::d`.
fn leaves(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.trim().trim_end_matches("::self").to_owned()];
    };
    let group = group.trim();
    let group = group.strip_suffix('}').unwrap_or(group);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_whatever_form_imports_have() {
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
        let found = [
            r#"auth::token → {"http"}"#,
            r#"http → {"http::retry"}"#,
            r#"http::circuit → {"http::retry"}"#,
            r#"http::retry → {"auth::token", "http::circuit"}"#,
        ];
        assert_eq!(cycles(imports), found);
    }
}
