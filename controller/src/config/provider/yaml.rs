//! YAML as values of figment, without the keys that have no value.

use std::{collections::BTreeMap, fmt, path::Path};

use figment::value::{Dict, Empty, Tag, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned,
    with_deserializer_from_str_with_options,
};

use super::{
    super::problem::{KeyPath, Message, Problems, describe_type, invalid},
    layer::Layer,
};

/// More levels than a configuration needs, and few enough for any stack.
const MAX_DEPTH: usize = 64;

/// Reads the configuration file; `None` if it cannot be used at all.
pub(in crate::config) fn file(path: &Path, problems: &mut Problems) -> Option<Layer> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| format!("the file cannot be read: {error}"));
    let value = text.and_then(|text| parse(&text, &KeyPath::default(), &origin, problems));
    let values = value.and_then(|value| match value {
        Value::Dict(_, values) => Ok(values),
        Value::Empty(..) => Ok(Dict::new()),
        other => Err(invalid(describe_type(&other), "a mapping")),
    });
    match values {
        Ok(values) => Some(Layer {
            origin: Some(origin),
            values,
        }),
        Err(message) => {
            problems.add(KeyPath::default(), Some(&origin), message);
            None
        }
    }
}

/// Parses the YAML document that `origin` has for `path`. Duplicate keys are added to the problems.
///
/// A key without a value counts as not set, so the mappings have no nulls. Entries of lists keep their positions.
///
/// # Errors
///
/// A message with the line and column of the first error of the syntax.
pub(super) fn parse(
    text: &str,
    path: &KeyPath,
    origin: &str,
    problems: &mut Problems,
) -> Result<Value, Message> {
    let root = Node {
        path: path.clone(),
        origin,
        problems,
    };
    with_deserializer_from_str_with_options(text, options(), |yaml| root.deserialize(yaml))
        .map_err(|error| format!("not valid YAML: {}", explain(&error)))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // all of them are reported at once
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true, // `no` may be a namespace
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false, // it would show secrets
    }
}

fn explain(error: &Error) -> String {
    match error {
        Error::UnknownAnchor { .. } => format!("{error} (quote strings that begin with *)"),
        _ => error.to_string(),
    }
}

/// Deserializes the node at `path`.
struct Node<'t> {
    path: KeyPath,
    origin: &'t str,
    problems: &'t mut Problems,
}

impl Node<'_> {
    /// A node of this list or mapping.
    fn child(&mut self, path: KeyPath) -> Node<'_> {
        Node {
            path,
            origin: self.origin,
            problems: self.problems,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::from(Empty::None))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        loop {
            let path = self.path.index(entries.len());
            match sequence.next_element_seed(self.child(path))? {
                Some(entry) => entries.push(entry),
                None => return Ok(Value::Array(Tag::Default, entries)),
            }
        }
    }

    /// The first value of a duplicate key counts. A mapping of keys without values counts as not set.
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let mut lines = BTreeMap::new();
        let mut values = Dict::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let (name, line) = (key.value, key.referenced.line());
            let path = self.path.key(&name);
            if let Some(first) = lines.get(&name) {
                let message = format!("duplicate key (lines {first}, {line})");
                self.problems.add(path, Some(self.origin), message);
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(self.child(path))?;
            lines.insert(name.clone(), line);
            if !matches!(value, Value::Empty(..)) {
                values.insert(name, value);
            }
        }
        if values.is_empty() && !lines.is_empty() {
            return Ok(Value::from(Empty::None));
        }
        Ok(Value::from(values))
    }
}
