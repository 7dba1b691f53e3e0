//! What is written to the log.

use std::fmt;

use serde::de::{
    Deserialize, Deserializer, Error, IntoDeserializer, SeqAccess, Visitor, value::StrDeserializer,
};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::scalar::{Refusal, Scalar, Valid};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Which log lines are written: a level for all targets, and others for some. Targets that are not named keep `info`.
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
            some => some.join(",").parse().unwrap_or_default(), // each was checked
        };
        Self(match targets.default_level() {
            Some(_) => targets,
            None => targets.with_default(LevelFilter::INFO),
        })
    }
}

/// One text, or a list of them.
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
        let text: StrDeserializer<'_, E> = text.into_deserializer();
        let Valid(Directives(directives)) = Valid::deserialize(text)?;
        Ok(LogLevel::new(&[directives]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<LogLevel, A::Error> {
        let mut directives = Vec::new();
        while let Some(entry) = entries.next_element::<Option<Valid<Directives>>>()? {
            directives.extend(entry.map(|Valid(Directives(text))| text));
        }
        Ok(LogLevel::new(&directives))
    }
}

/// Levels, of one target or of all, as [`Targets`] reads them.
struct Directives(String);

impl Scalar for Directives {
    const ALLOWED: &'static str =
        "trace, debug, info, warn, error or off, or a comma-separated list of target=level";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let directives: Option<Vec<_>> = text.split(',').map(directive).collect();
        directives
            .map(|directives| Self(directives.join(",")))
            .ok_or(Refusal::NotAllowed)
    }
}

/// A target alone is refused, as it may be a misspelt level; so are numbers, spans and fields.
fn directive(text: &str) -> Option<String> {
    let text: String = text.split_whitespace().collect();
    let (target, level) = text.rsplit_once('=').unwrap_or(("all", &text));
    let is_word = level.bytes().all(|byte| byte.is_ascii_alphabetic()) && !level.is_empty();
    let is_target = !target.is_empty() && !target.contains(['[', '=']);
    let is_default = text.parse::<Targets>().ok()?.default_level().is_some();
    (is_word && is_target && is_default != text.contains('=')).then_some(text)
}
