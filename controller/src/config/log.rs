//! What is written to the log.

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{node::Node, reader::Reader};

const LEVELS: &str =
    "trace, debug, info, warn, error or off, or a comma-separated list of target=level";

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Which log lines are written: a level for all targets, and others for some.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogLevel(Targets);

impl LogLevel {
    /// The filter for `tracing_subscriber`.
    pub(crate) fn targets(&self) -> &Targets {
        &self.0
    }
}

/// Reads `logLevel`: one text, or a list of them. Targets that it does not name keep the level `info`.
pub(super) fn level(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<LogLevel> {
    let read = |reader: &mut Reader<'_>, entry: &Node<'_>| reader.choose(entry, LEVELS, directives);
    let directives = if node.is_list() {
        reader.each(node, read)?.concat()
    } else {
        read(reader, node)?
    };
    Some(LogLevel(targets(&directives)))
}

/// Reads `logFormat`.
pub(super) fn format(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<LogFormat> {
    reader.choose(node, "text or json", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

/// A level, of one target or of all.
type Directive = (Option<String>, LevelFilter);

fn targets(directives: &[Directive]) -> Targets {
    let mut levels = directives.iter().filter(|(target, _)| target.is_none());
    let everything = levels
        .next_back()
        .map_or(LevelFilter::INFO, |(_, level)| *level);
    let some = directives
        .iter()
        .filter_map(|(target, level)| Some((target.as_deref()?, *level)));
    Targets::new().with_default(everything).with_targets(some)
}

fn directives(text: &str) -> Option<Vec<Directive>> {
    text.split(',').map(directive).collect()
}

/// A target alone is refused, as it may be a misspelt level; so are spans and fields, which our filter does not know.
fn directive(text: &str) -> Option<Directive> {
    let Some((target, name)) = text.split_once('=') else {
        return level_of(text).map(|level| (None, level));
    };
    let target = target.trim();
    let is_target = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-.".contains(&byte);
    let known = !target.is_empty() && target.bytes().all(is_target);
    let level = level_of(name).filter(|_| known)?;
    Some((Some(target.to_owned()), level))
}

fn level_of(name: &str) -> Option<LevelFilter> {
    let level = match name.trim().to_ascii_lowercase().as_str() {
        "trace" => LevelFilter::TRACE,
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        "off" => LevelFilter::OFF,
        _ => return None,
    };
    Some(level)
}
