//! All keys: those that the environment may set, the nearest one to an unknown key, and those that hold a secret.

use figment::{
    error::Kind,
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{problem::KeyPath, scalar::Scalar as _, secret::SecretText};

/// One key of the configuration.
pub(super) struct Key {
    /// As it is written in the file.
    name: &'static str,
    /// The full path, such as `registries[].secret.token`.
    pub(super) path: String,
    pub(super) holds: Holds,
}

/// The kind of a key's value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A text, number or boolean, or a list.
    Value,
    /// A text that is never shown, or a list of them.
    Secret,
    /// A mapping of other keys.
    Section,
}

impl Key {
    /// The environment variable that sets it, without its prefix; a key in a list has none.
    fn variable(&self) -> Option<String> {
        let in_list = self.path.contains("[]");
        (!in_list).then(|| self.path.replace('.', "__").to_ascii_uppercase())
    }
}

/// The keys of a model, from its errors: a mapping refuses an unknown key with the list of its own.
pub(super) fn keys<M: DeserializeOwned>() -> Vec<Key> {
    let mut keys = Vec::new();
    collect::<M>(&KeyPath::default(), "", &mut keys);
    keys
}

/// Adds the keys of the mapping at `path`, if it is one.
fn collect<M: DeserializeOwned>(path: &KeyPath, prefix: &str, keys: &mut Vec<Key>) -> Holds {
    let unknown = Value::from(Dict::from([(String::new(), Value::from(true))]));
    let error = M::deserialize(&path.around(unknown)).err();
    let names = match error.map(|error| error.kind) {
        Some(Kind::UnknownField(_, names)) => names,
        Some(Kind::InvalidType(_, allowed)) if allowed == SecretText::ALLOWED => {
            return Holds::Secret;
        }
        _ => return Holds::Value,
    };
    for name in names {
        let (inner, path) = (path.key(name), format!("{prefix}{name}"));
        let mut holds = collect::<M>(&inner, &format!("{path}."), keys);
        if holds == Holds::Value
            && collect::<M>(&inner.index(0), &format!("{path}[]."), keys) == Holds::Secret
        {
            holds = Holds::Secret;
        }
        keys.push(Key { name, path, holds });
    }
    Holds::Section
}

/// The key that an environment variable sets, ignoring case.
pub(super) fn by_variable<'k>(keys: &'k [Key], variable: &str) -> Option<&'k Key> {
    keys.iter().find(|key| {
        let name = key.variable();
        name.is_some_and(|name| name.eq_ignore_ascii_case(variable))
    })
}

/// The environment variable that is nearest to `variable`.
pub(super) fn nearest_variable(keys: &[Key], variable: &str) -> String {
    let variables: Vec<_> = keys.iter().filter_map(Key::variable).collect();
    most_like(variable, variables.iter().map(String::as_str))
}

/// The key that is nearest to `name`: one of its `siblings` by name, or any other one by path.
pub(super) fn nearest(keys: &[Key], name: &str, siblings: &[&'static str]) -> String {
    let others = keys.iter().map(|key| (key.name, key.path.as_str()));
    let siblings = siblings.iter().map(|&sibling| (sibling, sibling));
    closest(name, others.chain(siblings)) // the last of equal ones
}

/// The word that is most like `text`.
pub(super) fn most_like<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> String {
    closest(text, words.map(|word| (word, word)))
}

/// The second of the pair whose first is most like `name`.
fn closest<'n>(name: &str, candidates: impl Iterator<Item = (&'n str, &'n str)>) -> String {
    let name = name.to_ascii_lowercase();
    let likeness = |candidate: &str| {
        strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase())
    };
    candidates
        .map(|(candidate, result)| (likeness(candidate), result))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, result)| result.to_owned())
        .unwrap_or_default()
}

/// All values as JSON, as they are written, without secrets.
pub(super) fn redacted(root: &Value, keys: &[Key]) -> serde_json::Value {
    let mut json = json!(root);
    for key in keys.iter().filter(|key| key.holds == Holds::Secret) {
        redact(&mut json, key.path.replace("[]", ".[]").split('.'));
    }
    json
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
