//! Problems of a configuration, each with the path of its key.

use std::{fmt, iter};

use figment::{
    Error,
    value::{Dict, Empty, Tag, Value},
};
use kube_autorollout_core::quoted::Quoted;

/// The path of a value, such as `registries[1].secret.token`; empty for the whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// Parses keys that are separated by dots.
    pub(super) fn dotted(keys: &str) -> Self {
        Self(
            keys.split('.')
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
        )
    }

    /// The path of a key of this mapping.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The path of an entry of this list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The path of an error in `root`.
    pub(super) fn of(error: &Error, root: &Value) -> Self {
        error.path.iter().fold(Self::default(), |path, name| {
            let is_list = matches!(path.find(root), Some(Value::Array(..)));
            match name.parse() {
                Ok(index) if is_list => path.index(index),
                _ => path.key(name),
            }
        })
    }

    /// The value at this path.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, Self::step)
    }

    /// The value at this path, or else the innermost value around it.
    pub(super) fn find_nearest<'v>(&self, root: &'v Value) -> &'v Value {
        let mut steps = self.0.iter();
        let values = iter::successors(Some(root), |value| Self::step(value, steps.next()?));
        values.last().unwrap_or(root)
    }

    fn step<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
        match step {
            Step::Key(key) => value.as_dict()?.get(key),
            Step::Index(index) => value.as_array()?.get(*index),
        }
    }

    /// Replaces or removes the value at this path; a removed entry of a list becomes null. Returns whether there was a value.
    pub(super) fn replace(&self, root: &mut Value, replacement: Option<Value>) -> bool {
        replace(root, &self.0, replacement)
    }

    /// Mappings and lists with `leaf` at this path.
    pub(super) fn around(&self, leaf: Value) -> Value {
        self.0.iter().rev().fold(leaf, |value, step| match step {
            Step::Key(key) => Value::from(Dict::from([(key.clone(), value)])),
            Step::Index(_) => Value::Array(Tag::Default, vec![value]),
        })
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

fn replace(value: &mut Value, path: &[Step], replacement: Option<Value>) -> bool {
    match (value, path) {
        (value, []) => {
            *value = replacement.unwrap_or_else(|| Value::from(Empty::None));
            true
        }
        (Value::Dict(_, values), [Step::Key(key)]) if replacement.is_none() => {
            values.remove(key).is_some()
        }
        (Value::Dict(_, values), [Step::Key(key), inner @ ..]) => {
            let value = values.get_mut(key);
            value.is_some_and(|value| replace(value, inner, replacement))
        }
        (Value::Array(_, values), [Step::Index(index), inner @ ..]) => {
            let entry = values.get_mut(*index);
            entry.is_some_and(|entry| replace(entry, inner, replacement))
        }
        _ => false,
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => formatter.write_str(key)?,
                Step::Key(key) => write!(formatter, ".{key}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a value. It shows texts as they are written, before variables are expanded, and never a secret.
pub(super) type Message = String;

/// The message for a value that is not allowed.
pub(super) fn invalid(found: &str, allowed: &str) -> Message {
    format!("found {found}; allowed: {allowed}")
}

/// The message for a key that is set in addition to another one.
pub(super) fn exclusive(other: &str) -> Message {
    format!("cannot be set together with {other}")
}

/// The type of a value, for messages.
pub(super) fn describe_type(value: &Value) -> &'static str {
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

/// A value for messages: a text is quoted, escaped and cut; of a list or mapping, only the type is shown.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::String(_, text) => Quoted::new(text).to_string(),
        Value::Bool(..) | Value::Num(..) => serde_json::json!(value).to_string(),
        _ => describe_type(value).to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// Empty if the problem concerns the whole of `origin`.
    path: KeyPath,
    /// The file or environment variable that sets the value; `None` for a default.
    origin: Option<String>,
    message: Message,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            origin,
            message,
        } = self;
        match origin {
            Some(origin) if path.0.is_empty() => write!(formatter, "{origin}: {message}"),
            Some(origin) => write!(formatter, "{path} (in {origin}): {message}"),
            None => write!(formatter, "{path}: {message}"),
        }
    }
}

/// All problems of a configuration. Displayed as one message of several lines.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem of the value that `origin` sets at `path`.
    pub(super) fn add(&mut self, path: KeyPath, origin: Option<&str>, message: Message) {
        self.0.push(Problem {
            path,
            origin: origin.map(ToOwned::to_owned),
            message,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems by path, each once.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort();
        self.0.dedup();
        self
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => formatter.write_str("the configuration has 1 problem:")?,
            count => write!(formatter, "the configuration has {count} problems:")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
