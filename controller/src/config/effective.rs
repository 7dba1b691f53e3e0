//! The configuration in force, for the log.

use figment::value::Value;
use serde_json::json;

use super::schema::{Holds, Key};

/// The merged layers as JSON in the words of the file: secrets are left out, and variables are not replaced.
pub(super) fn effective(root: &Value, keys: &[Key]) -> serde_json::Value {
    let mut shown = json!(root);
    for key in keys.iter().filter(|key| key.holds == Holds::Secret) {
        redact(&mut shown, key.path.replace("[]", ".[]").split('.'));
    }
    shown
}

fn redact<'s>(value: &mut serde_json::Value, mut steps: impl Iterator<Item = &'s str> + Clone) {
    match (steps.next(), value) {
        (None, value) => *value = json!("[redacted]"),
        (Some("[]"), serde_json::Value::Array(entries)) => {
            for entry in entries {
                redact(entry, steps.clone());
            }
        }
        (Some(key), serde_json::Value::Object(values)) => {
            if let Some(value) = values.get_mut(key) {
                redact(value, steps);
            }
        }
        _ => {}
    }
}
