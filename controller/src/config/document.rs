//! The merged layers as a model, with every mistake in them, where serde stops at the first.

use std::collections::BTreeMap;

use figment::{
    error::{Actual, Kind},
    value::{Empty, Value},
};
use serde::de::DeserializeOwned;

use super::{
    found::{describe, kind},
    problem::{KeyPath, Mistake, Problem, invalid},
    provider::{self, Merged},
    scalar::Scalar,
    schema::{self, Key},
    secret::SecretText,
};

/// What serde calls a list.
const SEQUENCE: &str = "a sequence";

/// So many values that cannot be used are reported at once.
const MOST: usize = 1000;

/// The merged layers.
pub(super) struct Document {
    merged: Merged,
    /// The same with all variables replaced, and without what cannot be used.
    usable: Value,
    /// What takes the place of a value that cannot be used.
    defaults: Value,
    /// What stops the start.
    pub(super) problems: Vec<Problem>,
    /// What is logged only.
    pub(super) warnings: Vec<String>,
}

impl Document {
    /// Replaces the variables of the merged layers.
    pub(super) fn new(
        merged: Merged,
        environment: &BTreeMap<String, String>,
        problems: Vec<Problem>,
        warnings: Vec<String>,
    ) -> Self {
        let mut document = Self {
            usable: merged.root.clone(),
            merged,
            defaults: Value::from(provider::defaults()),
            problems,
            warnings,
        };
        let mut mistakes = Vec::new();
        let root = KeyPath::default();
        replace_variables(&mut document.usable, &root, environment, &mut mistakes);
        for (path, mistake) in mistakes {
            document.leave_empty(&path);
            document.mistake(path, mistake);
        }
        document
    }

    /// Reads the model. A value that it refuses becomes a problem and is left out, until nothing is refused any more.
    pub(super) fn extract<M: DeserializeOwned>(&mut self, keys: &[Key]) -> Option<M> {
        for _ in 0..MOST {
            let error = match M::deserialize(&self.usable) {
                Ok(model) => return Some(model),
                Err(error) => error,
            };
            let path = KeyPath::of(&error, &self.usable);
            let mistake = self.explained(&path, error.kind, keys);
            let left_out = self.leave_out(&path);
            self.mistake(path, mistake);
            if !left_out {
                break;
            }
        }
        None
    }

    /// All values as they are written.
    pub(super) fn written(&self) -> &Value {
        &self.merged.root
    }

    /// Whether a value is written at `path`, even if it cannot be used.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        path.find(self.written()).is_some()
    }

    /// Keeps a mistake in the value at `path`.
    pub(super) fn mistake(&mut self, path: KeyPath, mistake: Mistake) {
        let origin = self.origin(&path).map(ToOwned::to_owned);
        self.problems.push(Problem {
            path,
            origin,
            mistake,
        });
    }

    /// Keeps that the value at `path` is none of those that are allowed.
    pub(super) fn invalid(&mut self, path: KeyPath, allowed: &str) {
        let found = self.found(&path, describe);
        self.mistake(path, invalid(&found, allowed));
    }

    /// Keeps that a key is required, unless it has a value: one that cannot be used is a problem already.
    pub(super) fn missing(&mut self, path: KeyPath, allowed: &str) {
        if !self.has(&path) {
            self.mistake(path, format!("required; allowed: {allowed}"));
        }
    }

    /// Keeps a remark that does not stop the start.
    pub(super) fn warn(&mut self, path: &KeyPath, remark: &str) {
        let place = match self.origin(path) {
            Some(origin) => format!("{path} (in {origin})"),
            None => path.to_string(),
        };
        self.warnings.push(format!("{place}: {remark}"));
    }

    /// What a check gives, unless it finds a mistake in the value at `path`.
    pub(super) fn checked<T>(&mut self, path: &KeyPath, result: Result<T, Mistake>) -> Option<T> {
        result
            .map_err(|mistake| self.mistake(path.clone(), mistake))
            .ok()
    }

    /// The file or environment variable that has the value at `path`; none for a default.
    pub(super) fn origin(&self, path: &KeyPath) -> Option<&str> {
        self.merged.origin(path.find_nearest(self.written()).tag())
    }

    /// The value at `path` as it is written, before its variables were replaced.
    pub(super) fn found<S: Into<String>>(
        &self,
        path: &KeyPath,
        show: impl Fn(&Value) -> S,
    ) -> String {
        let written = path.find_nearest(self.written());
        match self.replacement(path) {
            Some("") => format!(
                "{}, which expands to an empty string",
                describe(written) // of variables only
            ),
            _ => show(written).into(),
        }
    }

    /// What the variables in the text at `path` were replaced by, if it has any.
    pub(super) fn replacement(&self, path: &KeyPath) -> Option<&str> {
        let (written, usable) = (path.find(self.written())?, path.find(&self.usable)?);
        usable
            .as_str()
            .filter(|&text| written.as_str() != Some(text))
    }

    /// What an error of figment says, without a secret.
    fn explained(&self, path: &KeyPath, error: Kind, keys: &[Key]) -> Mistake {
        let (found, allowed) = match error {
            Kind::UnknownField(name, siblings) => {
                let nearest = schema::nearest(keys, &name, siblings);
                return format!("unknown key; the nearest known key is {nearest}");
            }
            Kind::InvalidType(_, allowed) if allowed == SecretText::ALLOWED => {
                (self.found(path, kind), allowed)
            }
            Kind::InvalidValue(Actual::Other(reason), _) if self.replacement(path).is_none() => {
                return reason;
            }
            Kind::InvalidType(Actual::Other(found), allowed) => (found, allowed),
            Kind::InvalidType(_, allowed) | Kind::InvalidValue(_, allowed) => {
                // A whole secret may stand where a mapping or a list belongs.
                let hidden = [SecretText::ALLOWED, "a mapping", SEQUENCE];
                let found = if hidden.contains(&allowed.as_str()) {
                    self.found(path, kind)
                } else {
                    self.found(path, describe)
                };
                (found, allowed)
            }
            _ => (self.found(path, kind), "another value".to_owned()), // no other error is made
        };
        match allowed.as_str() {
            SEQUENCE => invalid(&found, "a list"),
            allowed => invalid(&found, allowed),
        }
    }

    /// Takes the value at `path` back to its default, or to nothing: a key that is unknown is still to be reported.
    fn leave_empty(&mut self, path: &KeyPath) {
        let default = path.find(&self.defaults).cloned();
        let nothing = || Value::from(Empty::None);
        path.replace(&mut self.usable, Some(default.unwrap_or_else(nothing)));
    }

    /// Takes the value at `path` back to its default, or out. Says whether there was one.
    fn leave_out(&mut self, path: &KeyPath) -> bool {
        let default = path.find(&self.defaults).cloned();
        path.replace(&mut self.usable, default)
    }
}

fn replace_variables(
    value: &mut Value,
    path: &KeyPath,
    environment: &BTreeMap<String, String>,
    mistakes: &mut Vec<(KeyPath, Mistake)>,
) {
    match value {
        Value::String(_, text) => match provider::interpolate(text, environment) {
            Ok(replaced) => *text = replaced,
            Err(found) => mistakes.extend(found.into_iter().map(|found| (path.clone(), found))),
        },
        Value::Dict(_, values) => {
            for (key, value) in values {
                replace_variables(value, &path.key(key), environment, mistakes);
            }
        }
        Value::Array(_, values) => {
            for (index, value) in (0..).zip(values) {
                replace_variables(value, &path.index(index), environment, mistakes);
            }
        }
        _ => {}
    }
}
