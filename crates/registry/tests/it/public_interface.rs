//! The public interface must not expose types of internal dependencies.
//!
//! The lint `unreachable_pub` ensures that `pub` in a source file means reachable for callers, so reading the
//! sources is enough.

use std::{fs, path::Path};

use kube_autorollout_testbed::modules::files;

/// Internal dependencies. Types of `bytes` and `oci_spec` may be public.
const OURS: &[&str] = &[
    "backon",
    "base64",
    "glob",
    "http",
    "http_body_util",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "ipnet",
    "jiff",
    "kube_autorollout_tls",
    "lru",
    "parking_lot",
    "ring",
    "rustls",
    "serde",
    "serde_json",
    "tokio",
    "tower",
    "url",
];

/// The words of a text that could be names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// The names of types that a source file imports from internal dependencies.
fn imported(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for import in source.split("\nuse ").skip(1) {
        let import = import.split(';').next().unwrap_or_default();
        let mut words = words(import);
        if words.next().is_some_and(|library| OURS.contains(&library)) {
            names.extend(words.filter(|word| word.starts_with(char::is_uppercase)));
        }
    }
    names
}

/// The public items of a source file: whole enumerations and traits, else signatures and fields; no
/// comments.
fn public(source: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let start = line.trim_start();
        let item = start.strip_prefix("pub ").unwrap_or_default();
        let converts = start.starts_with("impl") && start.contains("From<");
        if item.is_empty() && !converts {
            continue;
        }
        let is_last: fn(&str) -> bool = if item.starts_with("enum ") || item.starts_with("trait ") {
            |line| line.starts_with('}')
        } else if item.starts_with("fn ") || item.contains(" fn ") {
            |line| line.ends_with(['{', ';'])
        } else {
            |_| true
        };
        // A field without a name is hidden unless it says otherwise.
        let shown = match line.split_once('(') {
            Some((name, fields)) if item.starts_with("struct ") && !fields.starts_with("pub ") => {
                name
            }
            _ => line,
        };
        let mut text = shown.to_owned();
        let mut last = line;
        while !is_last(last) {
            let Some(next) = lines.next() else { break };
            if !next.trim_start().starts_with(['/', '#']) {
                text.push_str(next);
            }
            last = next;
        }
        seen.push(text);
    }
    seen
}

/// The public items that expose internal dependencies.
fn strangers(source: &str) -> Vec<String> {
    let imported = imported(source);
    let mut public = public(source);
    public.retain(|item| {
        let mut libraries = OURS.iter();
        words(item).any(|word| imported.contains(&word))
            || libraries.any(|library| item.contains(&format!("{library}::")))
    });
    public
}

#[test]
fn no_type_of_an_internal_dependency_is_public() {
    let sources = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let sources = sources.expect("the sources");
    let mut items = 0;
    for path in sources {
        let source = fs::read_to_string(&path).expect("a source file");
        assert_eq!(strangers(&source), [""; 0], "{}", path.display());
        items += public(&source).len();
    }
    assert!(items > 50, "{items} are public");
}

#[test]
fn a_leaked_type_would_be_found() {
    let source = "
use std::{fmt, time::Duration};
use http::{HeaderMap, header::DATE};
use hyper_util::client::legacy::RegistryClient as Inner;

pub struct Fine(Inner);
pub struct Hidden {
    pub(crate) headers: HeaderMap,
    pub wait: Duration,
}
pub struct Field(pub HeaderMap);
pub struct Named {
    pub client: Inner,
}
pub enum Variant {
    One,
    Two { cause: hyper::Error },
}
pub trait Asks {
    fn ask(&self, headers: &HeaderMap);
}
impl From<rustls::Error> for Named {}
impl Named {
    pub fn fine(&self, wait: Duration) -> u8 {
        let headers = HeaderMap::new();
    }
    pub async fn ask(
        &self,
        headers: HeaderMap,
    ) -> u8 {
    }
}
";
    let found = strangers(source);
    let starts = [
        "pub struct Field(",
        "    pub client:",
        "pub enum Variant",
        "pub trait Asks",
        "impl From<rustls::Error>",
        "    pub async fn ask(",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (item, start) in found.iter().zip(starts) {
        assert!(item.starts_with(start), "{item}");
    }
}
