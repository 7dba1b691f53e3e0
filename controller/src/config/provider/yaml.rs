//! YAML text as a tree of figment values, without what was left out.

use std::{fmt, path::Path};

use figment::value::{Dict, Empty, Tag, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, Error, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned,
};

use super::{
    super::{
        found::kind,
        problem::{KeyPath, Mistake, Problem},
    },
    layer::Layer,
};

/// More levels than any configuration needs, and few enough for every stack.
const MAX_DEPTH: usize = 64;

/// Reads the configuration file as a layer; none when it cannot be used, with the reason among the problems.
pub(in crate::config) fn file(path: &Path, problems: &mut Vec<Problem>) -> Option<Layer> {
    let origin = path.display().to_string();
    let mut problem = |path: KeyPath, mistake: Mistake| {
        problems.push(Problem {
            path,
            origin: Some(origin.clone()),
            mistake,
        });
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let reason = error.to_string();
            problem(
                KeyPath::default(),
                Mistake::UnreadableConfiguration { reason },
            );
            return None;
        }
    };
    let document = match parse(&text) {
        Ok(document) => document,
        Err(mistake) => {
            problem(KeyPath::default(), mistake);
            return None;
        }
    };
    for (path, mistake) in document.twice {
        problem(path, mistake);
    }
    let values = match document.value {
        Value::Dict(_, values) => values,
        Value::Empty(..) => Dict::new(),
        other => {
            let found = kind(&other).to_owned();
            let allowed = "a mapping".to_owned();
            problem(KeyPath::default(), Mistake::Invalid { found, allowed });
            return None;
        }
    };
    Some(Layer {
        origin: Some(origin),
        values,
    })
}

/// Reads one document. A key without a value counts as left out, so the tree has no nulls; but entries of lists keep
/// their numbers, and a null entry its place.
///
/// # Errors
///
/// [`Mistake::Yaml`] with the line and column where the text stops being YAML.
pub(super) fn parse(text: &str) -> Result<Document, Mistake> {
    let node = serde_saphyr::from_str_with_options::<Node>(text, options()).map_err(|error| {
        Mistake::Yaml {
            reason: explain(&error),
        }
    })?;
    let mut twice = Vec::new();
    let value = node.into_value(&KeyPath::default(), &mut twice);
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
        duplicate_keys: DuplicateKeyPolicy::PassThrough, // so that all of them are told at once
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
        Error::UnknownAnchor { .. } => format!("{error} (a text that begins with * needs quotes)"),
        _ => error.to_string(),
    }
}

/// A YAML node with the lines of its keys.
enum Node {
    Scalar(Value),
    List(Vec<Self>),
    Mapping(Vec<(Spanned<String>, Self)>),
}

impl Node {
    fn into_value(self, path: &KeyPath, twice: &mut Vec<(KeyPath, Mistake)>) -> Value {
        match self {
            Self::Scalar(value) => value,
            Self::List(entries) => Value::Array(
                Tag::Default,
                (0..)
                    .zip(entries)
                    .map(|(index, entry)| entry.into_value(&path.index(index), twice))
                    .collect(),
            ),
            Self::Mapping(entries) => mapping(entries, path, twice),
        }
    }
}

/// A mapping whose keys all lack a value is itself left out.
fn mapping(
    entries: Vec<(Spanned<String>, Node)>,
    path: &KeyPath,
    twice: &mut Vec<(KeyPath, Mistake)>,
) -> Value {
    let written_empty = entries.is_empty();
    let mut lines = std::collections::BTreeMap::new();
    let mut values = Dict::new();
    for (key, node) in entries {
        let (name, line) = (key.value, key.referenced.line());
        let path = path.key(&name);
        if let Some(&first) = lines.get(&name) {
            let second = line;
            twice.push((path, Mistake::SetTwice { first, second }));
            continue;
        }
        let value = node.into_value(&path, twice);
        lines.insert(name.clone(), line);
        if !matches!(value, Value::Empty(..)) {
            values.insert(name, value);
        }
    }
    if values.is_empty() && !written_empty {
        return Value::from(Empty::None);
    }
    Value::from(values)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(Empty::None)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(Value::from(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = sequence.next_element()? {
            entries.push(entry);
        }
        Ok(Node::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}
