//! The names of all keys: what the environment may name, which keys are unknown, and which hold a secret.

use figment::{
    error::Kind,
    value::{Dict, Value},
};
use serde::de::DeserializeOwned;

use super::{problem::KeyPath, scalar::Scalar, secret::SecretText};

/// One key of the configuration.
pub(super) struct Key {
    /// As it is written in the file.
    pub(super) name: &'static str,
    /// With the keys that it is in, such as `registries[].secret.token`.
    pub(super) path: String,
    /// What stands under it.
    pub(super) holds: Holds,
}

/// What stands under a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// A text, number or boolean, or a list.
    Value,
    /// A text that is never shown.
    Secret,
    /// A mapping of other keys.
    Section,
}

impl Key {
    /// The end of the environment variable that sets it; a key in a list has none.
    fn variable(&self) -> Option<String> {
        let in_list = self.path.contains("[]");
        (!in_list).then(|| self.path.replace('.', "__").to_ascii_uppercase())
    }
}

/// The keys of a model, as its own `Deserialize` knows them: a key that is in no mapping is refused with those that are.
pub(super) fn keys<M: DeserializeOwned>() -> Vec<Key> {
    let mut keys = Vec::new();
    collect::<M>(&KeyPath::default(), "", &mut keys);
    keys
}

/// Collects the keys of the mapping at `place`, if there is one.
fn collect<M: DeserializeOwned>(place: &KeyPath, prefix: &str, keys: &mut Vec<Key>) -> Holds {
    let names = match probe::<M>(place) {
        Some(Kind::UnknownField(_, names)) => names,
        Some(Kind::InvalidType(_, allowed)) if allowed == SecretText::ALLOWED => {
            return Holds::Secret;
        }
        _ => return Holds::Value,
    };
    for name in names {
        let (place, path) = (place.key(name), format!("{prefix}{name}"));
        let mut holds = collect::<M>(&place, &format!("{path}."), keys);
        if holds == Holds::Value {
            let entries = collect::<M>(&place.index(0), &format!("{path}[]."), keys);
            holds = match entries {
                Holds::Secret => Holds::Secret,
                Holds::Value | Holds::Section => Holds::Value,
            };
        }
        keys.push(Key { name, path, holds });
    }
    Holds::Section
}

/// Why the model refuses a mapping with a key of no name at `path`.
fn probe<M: DeserializeOwned>(path: &KeyPath) -> Option<Kind> {
    let nameless = Value::from(Dict::from([(String::new(), Value::from(true))]));
    M::deserialize(&path.around(nameless))
        .err()
        .map(|error| error.kind)
}

/// The key that an environment variable names by `levels`, ignoring case.
pub(super) fn by_variable<'k>(keys: &'k [Key], levels: &str) -> Option<&'k Key> {
    let named = |key: &&Key| {
        let variable = key.variable();
        variable.is_some_and(|variable| variable.eq_ignore_ascii_case(levels))
    };
    keys.iter().find(named)
}

/// The end of the environment variable that is most like `levels`.
pub(super) fn nearest_variable(keys: &[Key], levels: &str) -> String {
    let variables: Vec<_> = keys.iter().filter_map(Key::variable).collect();
    let candidates = variables.iter().map(|name| (name.as_str(), name.as_str()));
    closest(levels, candidates)
}

/// The known key most like `name`: one of its `siblings` by its name, or one from elsewhere by its path.
pub(super) fn nearest(keys: &[Key], name: &str, siblings: &[&'static str]) -> String {
    let elsewhere = keys.iter().map(|key| (key.name, key.path.as_str()));
    let siblings = siblings.iter().map(|&sibling| (sibling, sibling));
    closest(name, elsewhere.chain(siblings)) // of equals, the last is taken
}

/// The word most like `text`.
pub(super) fn most_like(text: &str, words: &[&str]) -> String {
    closest(text, words.iter().map(|word| (*word, *word)))
}

/// The second of the pair whose first is most like `name`.
fn closest<'n>(name: &str, candidates: impl Iterator<Item = (&'n str, &'n str)>) -> String {
    let name = name.to_ascii_lowercase();
    let likeness = |candidate: &str| {
        strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase())
    };
    candidates
        .map(|(candidate, answer)| (likeness(candidate), answer))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, answer)| answer.to_owned())
        .unwrap_or_default()
}
