//! The environment as layers of the configuration, one for each variable that names a key.

use std::collections::{BTreeMap, btree_map::Entry};

use figment::{util::nest, value::Value};

use super::{
    super::{
        problem::{KeyPath, Problems},
        schema::{self, Key},
    },
    layer::Layer,
    yaml,
};

/// The prefix of our variables.
const PREFIX: &str = "KUBE_AUTOROLLOUT_";

/// The conventional variable of `tracing`; it overrides every other `logLevel`.
const RUST_LOG: &str = "RUST_LOG";

/// The layers of the environment, from the lowest to the highest.
///
/// A variable with an empty value counts as not set. An unknown one is only a warning: another program may have set it.
pub(in crate::config) fn variables(
    keys: &[Key],
    environment: &BTreeMap<String, String>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Vec<Layer> {
    let mut values = BTreeMap::new(); // a section sorts before its keys, which override it
    for (variable, text) in environment {
        let Some(levels) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        let Some(key) = schema::by_variable(keys, levels) else {
            if !is_of_a_service(levels) {
                let nearest = schema::nearest_variable(keys, levels);
                warnings.push(format!(
                    "unknown environment variable {variable}; the nearest known variable is {PREFIX}{nearest}"
                ));
            }
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let path = || KeyPath::dotted(&key.path);
        match values.entry(key.path.as_str()) {
            Entry::Vacant(entry) => {
                let value = value(text, path(), variable, problems);
                entry.insert((variable.as_str(), value));
            }
            Entry::Occupied(entry) => {
                let (other, _) = entry.get();
                let message =
                    format!("also set by {other} (variable names are not case-sensitive)");
                problems.add(path(), Some(variable), message);
            }
        }
    }
    let rust_log = environment.get(RUST_LOG).filter(|text| !text.is_empty());
    let rust_log = rust_log.map(|text| ("logLevel", (RUST_LOG, Some(Value::from(text.as_str())))));
    let layers = values.into_iter().chain(rust_log);
    let layers = layers.filter_map(|(path, (variable, value))| {
        Some(Layer {
            origin: Some(variable.to_owned()),
            values: nest(path, value?).into_dict()?,
        })
    });
    layers.collect()
}

/// Lists and mappings are YAML in flow style; everything else is text, so that `*/45 * * * * *` needs no quotes.
fn value(text: &str, path: KeyPath, variable: &str, problems: &mut Problems) -> Option<Value> {
    if !text.trim_start().starts_with(['[', '{']) {
        return Some(Value::from(text));
    }
    match yaml::parse(text, &path, variable, problems) {
        Ok(Value::Empty(..)) => None,
        Ok(value) => Some(value),
        Err(message) => {
            problems.add(path, Some(variable), message);
            None
        }
    }
}

/// Whether Kubernetes sets the variable for a Service of our name;
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>.
fn is_of_a_service(levels: &str) -> bool {
    let starts_with_port = |rest: &str| {
        let port = rest.split_once('_');
        port.is_some_and(|(port, _)| port.parse::<u16>().is_ok())
    };
    levels == "SERVICE_HOST"
        || levels == "PORT"
        || levels.starts_with("SERVICE_PORT")
        || levels.strip_prefix("PORT_").is_some_and(starts_with_port)
}
