//! A value of the merged layers with its place, and how messages show it.

use figment::value::Value;
use kube_autorollout_core::found::Found;

use super::problem::KeyPath;

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'v> {
    pub(super) value: &'v Value,
    pub(super) path: KeyPath,
}

impl<'v> Node<'v> {
    /// The whole configuration.
    pub(super) fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: KeyPath::default(),
        }
    }

    /// The value under `key`, unless it is left out.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        Some(self.child(key, self.value.as_dict()?.get(key)?))
    }

    /// The `value` that this mapping has under `key`.
    pub(super) fn child(&self, key: &str, value: &'v Value) -> Self {
        let path = self.path.key(key);
        Self { value, path }
    }

    /// The entries of this list, whose `values` are given, without those left out.
    pub(super) fn entries(&self, values: &'v [Value]) -> Vec<Self> {
        (0..)
            .zip(values)
            .filter(|(_, value)| !matches!(value, Value::Empty(..)))
            .map(|(index, value)| Self {
                value,
                path: self.path.index(index),
            })
            .collect()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.value.as_array().is_some()
    }

    /// Whether it is a mapping.
    pub(super) fn is_mapping(&self) -> bool {
        self.value.as_dict().is_some()
    }

    /// Whether it is a text of no length.
    pub(super) fn is_empty_text(&self) -> bool {
        self.value.as_str() == Some("")
    }
}

/// What kind of value it is.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_, text) if text.is_empty() => "an empty text",
        Value::String(..) | Value::Char(..) => "a text",
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
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => number
            .to_u128()
            .map(|number| number.to_string())
            .or_else(|| number.to_i128().map(|number| number.to_string()))
            .or_else(|| number.to_f64().map(|number| number.to_string()))
            .unwrap_or_default(),
        _ => kind(value).to_owned(),
    }
}
