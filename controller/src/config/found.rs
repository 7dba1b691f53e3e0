//! How messages show a value that was found.

use figment::value::Value;
use kube_autorollout_core::found::Found;

/// What kind of value it is.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_, text) if text.is_empty() => "an empty string",
        Value::String(..) | Value::Char(..) => "a string",
        Value::Bool(..) => "a boolean",
        Value::Num(..) => "a number",
        Value::Empty(..) => "nothing",
        Value::Dict(..) => "a mapping",
        Value::Array(..) => "a list",
    }
}

/// A value as messages show it: texts in quotes, escaped and cut; of lists and mappings only what they are.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(_, text) => Found::new(text).to_string(),
        Value::Bool(..) | Value::Num(..) => serde_json::json!(value).to_string(),
        _ => kind(value).to_owned(),
    }
}
