//! The environment as layers of the configuration: one for each variable that names a key.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

use super::{
    layers::Layer,
    problem::{KeyPath, Mistake, Problem},
    schema, yaml,
};

/// Begins the names of our variables.
const PREFIX: &str = "KUBE_AUTOROLLOUT_";

/// The variable that every tool with `tracing` knows; it wins over every other `logLevel`.
const RUST_LOG: &str = "RUST_LOG";

/// The values that environment variables give, the last the highest.
///
/// A variable with an empty value counts as left out. One that names no key costs a warning only, as anybody may have
/// put it there.
pub(super) fn layers(
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut set = BTreeMap::<Vec<&str>, &str>::new();
    for (variable, text) in environment {
        let Some(levels) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let Some(path) = schema::resolve(levels) else {
            if !is_of_a_service(levels) {
                warnings.push(unknown(variable, levels));
            }
            continue;
        };
        if text.is_empty() {
            continue;
        }
        if let Some(other) = set.get(&path) {
            problems.push(Problem {
                path: key_path(&path),
                origin: Some(variable.clone()),
                mistake: Mistake::SetByTwoVariables {
                    variable: (*other).to_owned(),
                },
            });
            continue;
        }
        if let Some(value) = value(text, &path, variable, problems) {
            layers.push(layer(variable, &path, value));
        }
        set.insert(path, variable);
    }
    layers.sort_by_key(|(depth, _)| *depth); // a key in a section wins over the section in flow style
    let rust_log = environment
        .get(RUST_LOG)
        .filter(|text| !text.is_empty())
        .map(|text| layer(RUST_LOG, &["logLevel"], Value::from(text.as_str())));
    layers
        .into_iter()
        .chain(rust_log)
        .map(|(_, layer)| layer)
        .collect()
}

/// A layer with one value, and the depth of its key.
fn layer(variable: &str, path: &[&str], value: Value) -> (usize, Layer) {
    let nested = path.iter().rev().fold(value, |value, key| {
        Value::from(Dict::from([((*key).to_owned(), value)]))
    });
    let layer = Layer {
        origin: Some(variable.to_owned()),
        values: nested.into_dict().unwrap_or_default(),
    };
    (path.len(), layer)
}

/// Lists and mappings are YAML in flow style; everything else is text, so that `*/45 * * * * *` needs no quotes.
fn value(text: &str, path: &[&str], variable: &str, problems: &mut Vec<Problem>) -> Option<Value> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Some(Value::from(text));
    }
    let mut problem = |path: KeyPath, mistake: Mistake| {
        problems.push(Problem {
            path,
            origin: Some(variable.to_owned()),
            mistake,
        });
    };
    match yaml::parse(text) {
        Ok(document) => {
            for (inner, mistake) in document.twice {
                problem(key_path(path).join(inner), mistake);
            }
            (!matches!(document.value, Value::Empty(..))).then_some(document.value)
        }
        Err(mistake) => {
            problem(key_path(path), mistake);
            None
        }
    }
}

fn key_path(path: &[&str]) -> KeyPath {
    path.iter()
        .fold(KeyPath::default(), |path, key| path.key(key))
}

fn unknown(variable: &str, levels: &str) -> String {
    let names = schema::variables();
    let candidates = names
        .iter()
        .map(|name| (name.as_str(), format!("{PREFIX}{name}")));
    let nearest = schema::closest(levels, candidates).unwrap_or_default();
    format!(
        "the environment variable {variable} names no key of the configuration; the nearest is {nearest}"
    )
}

/// Whether Kubernetes made the variable for a Service of our name;
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_of_a_service(levels: &str) -> bool {
    let numbered = |rest: &str| {
        rest.split_once('_').is_some_and(|(port, _)| {
            !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    levels == "SERVICE_HOST"
        || levels == "PORT"
        || levels.starts_with("SERVICE_PORT")
        || levels.strip_prefix("PORT_").is_some_and(numbered)
}
