//! The configuration in force, for the log.

use figment::value::Value;
use serde_json::json;

use super::schema::{self, Holds, Key};

/// The merged layers as JSON in the words of the file: secrets are left out, and variables are not replaced.
pub(super) fn effective(root: &Value) -> serde_json::Value {
    mapping(root, super::schema::KEYS)
}

fn mapping(value: &Value, keys: &[Key]) -> serde_json::Value {
    let entries = value.as_dict().into_iter().flatten();
    entries
        .filter_map(|(name, value)| {
            let shown = match schema::find(keys, name)?.holds {
                Holds::Value => json!(value),
                Holds::Secret => json!("[redacted]"),
                Holds::Section(keys) => mapping(value, keys),
                Holds::Sections(keys) => value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|entry| mapping(entry, keys))
                    .collect(),
            };
            Some((name.clone(), shown))
        })
        .collect()
}
