//! The environment as layers of the configuration: one for each variable that names a key.

use std::collections::BTreeMap;

use figment::{util::nest, value::Value};

use super::{
    super::{
        problem::{KeyPath, Problem},
        schema::{self, Key},
    },
    layer::Layer,
    yaml,
};

/// Begins the names of our variables.
const PREFIX: &str = "KUBE_AUTOROLLOUT_";

/// The variable that every tool with `tracing` knows; it wins over every other `logLevel`.
const RUST_LOG: &str = "RUST_LOG";

/// The values that environment variables give, the last the highest.
///
/// A variable with an empty value counts as left out. An unknown one is only a warning: other programs may have set it.
pub(in crate::config) fn variables(
    keys: &[Key],
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut set = BTreeMap::<&str, &str>::new();
    for (variable, text) in environment {
        let Some(levels) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let Some(key) = schema::by_variable(keys, levels) else {
            if !is_of_a_service(levels) {
                warnings.push(unknown(keys, variable, levels));
            }
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let path = key.path.as_str();
        if let Some(other) = set.get(path) {
            let mistake = format!("also set by {other} (variable names are not case-sensitive)");
            problems.push(Problem::new(key_path(path), variable, mistake));
            continue;
        }
        if let Some(value) = value(text, path, variable, problems) {
            layers.push(layer(variable, path, value));
        }
        set.insert(path, variable);
    }
    layers.sort_by_key(|(depth, _)| *depth); // a key in a section wins over the section in flow style
    let rust_log = environment
        .get(RUST_LOG)
        .filter(|text| !text.is_empty())
        .map(|text| layer(RUST_LOG, "logLevel", Value::from(text.as_str())));
    layers
        .into_iter()
        .chain(rust_log)
        .map(|(_, layer)| layer)
        .collect()
}

/// A layer with one value, and the depth of its key.
fn layer(variable: &str, path: &str, value: Value) -> (usize, Layer) {
    let layer = Layer {
        origin: Some(variable.to_owned()),
        values: nest(path, value).into_dict().unwrap_or_default(),
    };
    (path.split('.').count(), layer)
}

/// Lists and mappings are YAML in flow style; everything else is text, so that `*/45 * * * * *` needs no quotes.
fn value(text: &str, path: &str, variable: &str, problems: &mut Vec<Problem>) -> Option<Value> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Some(Value::from(text));
    }
    let mut problem = |path, mistake| problems.push(Problem::new(path, variable, mistake));
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

fn key_path(path: &str) -> KeyPath {
    path.split('.')
        .fold(KeyPath::default(), |path, key| path.key(key))
}

fn unknown(keys: &[Key], variable: &str, levels: &str) -> String {
    let nearest = schema::nearest_variable(keys, levels);
    format!(
        "unknown environment variable {variable}; the nearest known variable is {PREFIX}{nearest}"
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
