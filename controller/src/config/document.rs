//! Deserializes the merged layers, and reports every problem, where serde stops at the first.

use std::collections::BTreeMap;

use figment::{
    error::{Actual, Kind},
    value::{Empty, Value},
};
use serde::de::DeserializeOwned;

use super::{
    problem::{KeyPath, Message, Problems, describe, describe_type, invalid},
    provider::{self, Merged},
    scalar::Scalar as _,
    schema::{self, Key},
    secret::SecretText,
};

/// Serde's name of a list.
const SEQUENCE: &str = "a sequence";

/// The maximum number of values that are reported as invalid at once.
const MAX_INVALID: usize = 1000;

/// The merged layers and their problems.
pub(super) struct Document {
    merged: Merged,
    /// The same with variables expanded, and without the values that are invalid.
    usable: Value,
    /// Replaces invalid values.
    defaults: Value,
    /// Prevent the start.
    pub(super) problems: Problems,
    /// Only logged.
    pub(super) warnings: Vec<String>,
}

impl Document {
    /// Expands the variables of the merged layers.
    pub(super) fn new(
        merged: Merged,
        environment: &BTreeMap<String, String>,
        problems: Problems,
        warnings: Vec<String>,
    ) -> Self {
        let mut document = Self {
            usable: merged.root.clone(),
            merged,
            defaults: Value::from(provider::defaults()),
            problems,
            warnings,
        };
        let mut messages = Vec::new();
        let root = KeyPath::default();
        expand(&mut document.usable, &root, environment, &mut messages);
        for (path, message) in messages {
            // Null and not removed: a key that is unknown is reported as well.
            document.reset(&path, Some(Value::from(Empty::None)));
            document.problem(path, message);
        }
        document
    }

    /// Deserializes the model. A value that is refused becomes a problem and is removed, until nothing is refused.
    pub(super) fn extract<M: DeserializeOwned>(&mut self, keys: &[Key]) -> Option<M> {
        for _ in 0..MAX_INVALID {
            let error = match M::deserialize(&self.usable) {
                Ok(model) => return Some(model),
                Err(error) => error,
            };
            let path = KeyPath::of(&error, &self.usable);
            let message = self.explain(&path, error.kind, keys);
            let is_reset = self.reset(&path, None);
            self.problem(path, message);
            if !is_reset {
                break;
            }
        }
        None
    }

    /// All values as they are written.
    pub(super) fn written(&self) -> &Value {
        &self.merged.root
    }

    /// Whether a value is written at `path`, even an invalid one.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        path.find(self.written()).is_some()
    }

    /// Adds a problem of the value at `path`.
    pub(super) fn problem(&mut self, path: KeyPath, message: Message) {
        let origin = self.merged.origin(&path);
        self.problems.add(path, origin, message);
    }

    /// Adds the problem that the value at `path` is not allowed.
    pub(super) fn invalid(&mut self, path: KeyPath, allowed: &str) {
        let found = self.found(&path, false);
        self.problem(path, invalid(&found, allowed));
    }

    /// Adds a problem if a required key is missing. An invalid value has been reported already.
    pub(super) fn require(&mut self, path: KeyPath, allowed: &str) {
        if !self.has(&path) {
            self.problem(path, format!("required; allowed: {allowed}"));
        }
    }

    /// Adds a warning about the value at `path`.
    pub(super) fn warn(&mut self, path: &KeyPath, warning: &str) {
        let place = match self.merged.origin(path) {
            Some(origin) => format!("{path} (in {origin})"),
            None => path.to_string(),
        };
        self.warnings.push(format!("{place}: {warning}"));
    }

    /// The result of a check; an error becomes a problem of the value at `path`.
    pub(super) fn check<T>(&mut self, path: &KeyPath, result: Result<T, Message>) -> Option<T> {
        result
            .map_err(|message| self.problem(path.clone(), message))
            .ok()
    }

    /// What the text at `path` was expanded to, if it contains variables.
    pub(super) fn expanded(&self, path: &KeyPath) -> Option<&str> {
        let (written, usable) = (path.find(self.written())?, path.find(&self.usable)?);
        usable
            .as_str()
            .filter(|&text| written.as_str() != Some(text))
    }

    /// The value at `path` for messages, before its variables were expanded; only its type if it may be a secret.
    fn found(&self, path: &KeyPath, is_secret: bool) -> String {
        let written = path.find_nearest(self.written());
        match self.expanded(path) {
            Some("") => format!(
                "{}, which expands to an empty string",
                describe(written) // only variables
            ),
            _ if is_secret => describe_type(written).to_owned(),
            _ => describe(written),
        }
    }

    /// The message for an error of figment, without secrets.
    fn explain(&self, path: &KeyPath, error: Kind, keys: &[Key]) -> Message {
        let (found, allowed) = match error {
            Kind::UnknownField(name, siblings) => {
                let nearest = schema::nearest(keys, &name, siblings);
                return format!("unknown key; the nearest known key is {nearest}");
            }
            Kind::InvalidValue(Actual::Other(reason), _) if self.expanded(path).is_none() => {
                return reason;
            }
            Kind::InvalidType(Actual::Other(found), allowed) if allowed != SecretText::ALLOWED => {
                (found, allowed)
            }
            Kind::InvalidType(_, allowed) | Kind::InvalidValue(_, allowed) => {
                // A secret may have been written in place of a mapping or list.
                let secret = [SecretText::ALLOWED, "a mapping", SEQUENCE];
                (self.found(path, secret.contains(&&*allowed)), allowed)
            }
            _ => (self.found(path, true), "another value".to_owned()), // not returned by the model
        };
        match &*allowed {
            SEQUENCE => invalid(&found, "a list"),
            allowed => invalid(&found, allowed),
        }
    }

    /// Resets the value at `path` to its default, or else to `otherwise`. Returns whether there was a value.
    fn reset(&mut self, path: &KeyPath, otherwise: Option<Value>) -> bool {
        let default = path.find(&self.defaults).cloned();
        path.replace(&mut self.usable, default.or(otherwise))
    }
}

/// Expands the variables in all texts of `value`, which is at `path`.
fn expand(
    value: &mut Value,
    path: &KeyPath,
    environment: &BTreeMap<String, String>,
    messages: &mut Vec<(KeyPath, Message)>,
) {
    match value {
        Value::String(_, text) => match provider::interpolate(text, environment) {
            Ok(expanded) => *text = expanded,
            Err(errors) => messages.extend(errors.into_iter().map(|error| (path.clone(), error))),
        },
        Value::Dict(_, values) => {
            for (key, value) in values {
                expand(value, &path.key(key), environment, messages);
            }
        }
        Value::Array(_, values) => {
            for (index, value) in values.iter_mut().enumerate() {
                expand(value, &path.index(index), environment, messages);
            }
        }
        _ => {}
    }
}
