//! The format and level of the log.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::scalar::{Scalar as _, Valid};

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object per line.
    Json,
}

/// The level of all targets, `info` by default, and the levels of single ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogLevel(Targets);

impl LogLevel {
    /// The filter for `tracing_subscriber`.
    pub(crate) fn targets(&self) -> &Targets {
        &self.0
    }

    fn new(directives: &[String]) -> Self {
        let targets = match directives {
            [] => Targets::new(),
            some => some.join(",").parse().unwrap_or_default(), // each is valid
        };
        Self(match targets.default_level() {
            Some(_) => targets,
            None => targets.with_default(LevelFilter::INFO),
        })
    }
}

/// One text or a list of texts.
impl<'de> Deserialize<'de> for LogLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LevelVisitor)
    }
}

struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = LogLevel;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Directives::ALLOWED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LogLevel, E> {
        match directives(text) {
            Some(Directives(directives)) => Ok(LogLevel::new(&[directives])),
            None => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<LogLevel, A::Error> {
        let mut directives = Vec::new();
        while let Some(entry) = entries.next_element::<Option<Valid<Directives>>>()? {
            directives.extend(entry.map(|Valid(Directives(text))| text));
        }
        Ok(LogLevel::new(&directives))
    }
}

/// Levels of targets, or of all targets, in the syntax of [`Targets`].
pub(super) struct Directives(String);

/// Parses a comma-separated list; `None` if a directive is invalid.
pub(super) fn directives(text: &str) -> Option<Directives> {
    let directives: Option<Vec<_>> = text.split(',').map(directive).collect();
    Some(Directives(directives?.join(",")))
}

/// Refuses a target without a level, as it may be a misspelt level, and numbers, spans and fields.
fn directive(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    let (target, level) = text.rsplit_once('=').unwrap_or(("all", &text));
    let is_word = level.bytes().all(|byte| byte.is_ascii_alphabetic()) && !level.is_empty();
    let is_target = !target.is_empty() && !target.contains(['[', '=']);
    let is_default = text.parse::<Targets>().ok()?.default_level().is_some();
    (is_word && is_target && is_default != text.contains('=')).then_some(text)
}
