//! YAML text as a tree of figment values, without what was left out.

use std::{collections::BTreeMap, fmt, path::Path};

use figment::value::{Dict, Empty, Tag, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned,
    with_deserializer_from_str_with_options,
};

use super::{
    super::{
        found::kind,
        problem::{KeyPath, Mistake, Problem, invalid},
    },
    layer::Layer,
};

/// More levels than any configuration needs, and few enough for every stack.
const MAX_DEPTH: usize = 64;

/// Reads the configuration file as a layer; none when it cannot be used, with the reason among the problems.
pub(in crate::config) fn file(path: &Path, problems: &mut Vec<Problem>) -> Option<Layer> {
    let origin = path.display().to_string();
    let mut mistakes = Vec::new();
    let values = match read(path) {
        Ok(document) => {
            mistakes = document.twice;
            mapping(document.value)
        }
        Err(mistake) => Err(mistake),
    };
    let values = values.map_err(|mistake| mistakes.push((KeyPath::default(), mistake)));
    let mistakes = mistakes.into_iter();
    problems.extend(mistakes.map(|(path, mistake)| Problem::new(path, &origin, mistake)));
    Some(Layer {
        values: values.ok()?,
        origin: Some(origin),
    })
}

fn read(path: &Path) -> Result<Document, Mistake> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file cannot be read: {error}"))?;
    parse(&text)
}

fn mapping(value: Value) -> Result<Dict, Mistake> {
    match value {
        Value::Dict(_, values) => Ok(values),
        Value::Empty(..) => Ok(Dict::new()),
        other => Err(invalid(kind(&other), "a mapping")),
    }
}

/// Reads one document. A key without a value counts as left out, so the tree has no nulls; but entries of lists keep
/// their numbers, and a null entry its place.
///
/// # Errors
///
/// A [`Mistake`] with the line and column where the text stops being YAML.
pub(super) fn parse(text: &str) -> Result<Document, Mistake> {
    let mut twice = Vec::new();
    let root = Node {
        path: KeyPath::default(),
        twice: &mut twice,
    };
    let value =
        with_deserializer_from_str_with_options(text, options(), |yaml| root.deserialize(yaml));
    let value = value.map_err(|error| format!("not valid YAML: {}", explain(&error)))?;
    Ok(Document { value, twice })
}

/// What a YAML text says.
pub(super) struct Document {
    /// Empty when the text is empty.
    pub(super) value: Value,
    /// The keys that it sets twice; the first value counts.
    pub(super) twice: Vec<(KeyPath, Mistake)>,
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // so that all of them are reported at once
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true, // `no` is a namespace, too
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

/// Reads the node at a place.
struct Node<'t> {
    path: KeyPath,
    /// The keys that are set twice.
    twice: &'t mut Vec<(KeyPath, Mistake)>,
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = sequence.next_element_seed(Node {
            path: self.path.index(entries.len()),
            twice: self.twice,
        })? {
            entries.push(entry);
        }
        Ok(Value::Array(Tag::Default, entries))
    }

    /// A mapping whose keys all lack a value is itself left out.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut lines = BTreeMap::new();
        let mut values = Dict::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let (name, line) = (key.value, key.referenced.line());
            let path = self.path.key(&name);
            if let Some(first) = lines.get(&name) {
                let mistake = format!("duplicate key (lines {first}, {line})");
                self.twice.push((path, mistake));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let twice = &mut *self.twice;
            let value = map.next_value_seed(Node { path, twice })?;
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
