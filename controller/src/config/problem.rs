//! What is wrong with a configuration: every mistake, each with its place.

use std::fmt;

use figment::{
    Error,
    value::{Dict, Empty, Tag, Value},
};

/// The place of a value in the configuration, such as `registries[1].secret.token`; empty for the whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The place of the value that this mapping has under `key`.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// The place of a list's entry.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The place that `inner` is when it starts here.
    pub(super) fn join(mut self, inner: Self) -> Self {
        self.0.extend(inner.0);
        self
    }

    /// Where an error of figment was found in `root`.
    pub(super) fn of(error: &Error, root: &Value) -> Self {
        error.path.iter().fold(Self::default(), |path, name| {
            let in_list = path
                .find(root)
                .is_some_and(|value| value.as_array().is_some());
            match name.parse() {
                Ok(index) if in_list => path.index(index),
                _ => path.key(name),
            }
        })
    }

    /// The value at this place.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, Self::step)
    }

    /// The value at this place, or the innermost that this place would be in.
    pub(super) fn find_nearest<'v>(&self, root: &'v Value) -> &'v Value {
        let mut value = root;
        for step in &self.0 {
            match Self::step(value, step) {
                Some(inner) => value = inner,
                None => break,
            }
        }
        value
    }

    fn step<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
        match step {
            Step::Key(key) => value.as_dict()?.get(key),
            Step::Index(index) => value.as_array()?.get(*index),
        }
    }

    /// Puts `replacement` at this place, or leaves it empty. Says whether there was something to replace.
    pub(super) fn replace(&self, root: &mut Value, replacement: Option<Value>) -> bool {
        let Some((last, outer)) = self.0.split_last() else {
            return false;
        };
        let outer = outer
            .iter()
            .try_fold(root, |value, step| match (value, step) {
                (Value::Dict(_, values), Step::Key(key)) => values.get_mut(key),
                (Value::Array(_, values), Step::Index(index)) => values.get_mut(*index),
                _ => None,
            });
        match (outer, last) {
            (Some(Value::Dict(_, values)), Step::Key(key)) => {
                let before = values.remove(key);
                values.extend(replacement.map(|value| (key.clone(), value)));
                before.is_some()
            }
            (Some(Value::Array(_, values)), Step::Index(index)) => {
                let value = values.get_mut(*index);
                value
                    .map(|value| *value = Value::from(Empty::None))
                    .is_some()
            }
            _ => false,
        }
    }

    /// Mappings and lists around `leaf`, so that it is at this place.
    pub(super) fn around(&self, leaf: Value) -> Value {
        self.0.iter().rev().fold(leaf, |value, step| match step {
            Step::Key(key) => Value::from(Dict::from([(key.clone(), value)])),
            Step::Index(_) => Value::Array(Tag::Default, vec![value]),
        })
    }

    fn with(&self, step: Step) -> Self {
        let mut path = self.clone();
        path.0.push(step);
        path
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

/// What is wrong with one value. Texts that were found are shown as they are written, before their variables are
/// replaced, and never those of secrets.
pub(super) type Mistake = String;

/// The mistake of a value that is not allowed.
pub(super) fn invalid(found: &str, allowed: &str) -> Mistake {
    format!("found {found}; allowed: {allowed}")
}

/// The mistake of a key that is set beside another one.
pub(super) fn exclusive(other: &str) -> Mistake {
    format!("cannot be set together with {other}")
}

/// One mistake and where it was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// The key, empty when the whole of `origin` is meant.
    pub(super) path: KeyPath,
    /// The file or the environment variable that has the value; none for a default.
    pub(super) origin: Option<String>,
    /// What is wrong.
    pub(super) mistake: Mistake,
}

impl Problem {
    /// A mistake in the value that `origin` has at `path`.
    pub(super) fn new(path: KeyPath, origin: &str, mistake: Mistake) -> Self {
        Self {
            path,
            origin: Some(origin.to_owned()),
            mistake,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, self.path.0.is_empty()) {
            (Some(origin), true) => write!(formatter, "{origin}: ")?,
            (Some(origin), false) => write!(formatter, "{} (in {origin}): ", self.path)?,
            (None, _) => write!(formatter, "{}: ", self.path)?,
        }
        formatter.write_str(&self.mistake)
    }
}

/// Everything that is wrong with a configuration, by key path. Displayed as one message of several lines.
#[derive(Debug)]
pub(crate) struct Problems(Vec<Problem>);

impl From<Vec<Problem>> for Problems {
    fn from(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self(problems)
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
