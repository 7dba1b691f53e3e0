//! Validates the settings of sinks.

use std::collections::BTreeSet;

use super::{Sink, SinkSettings};

/// The longest name, in characters; that of a DNS label.
const MAX_NAME: usize = 63;

/// A mistake in the settings of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The position of the sink in the list, from zero.
    pub sink: usize,
    /// The key of the sink.
    pub key: &'static str,
    /// What is wrong, and what to write instead. It repeats no URL.
    pub message: String,
}

/// Validates all sinks.
///
/// # Errors
///
/// Every mistake of every sink.
pub fn sinks(all: Vec<SinkSettings>) -> Result<Vec<Sink>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for (sink, settings) in all.into_iter().enumerate() {
        let mut problem = |key, message: String| {
            problems.push(Problem { sink, key, message });
        };
        if !is_label(&settings.name) {
            let allowed = "use 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
            problem("name", allowed.to_owned());
        } else if !names.insert(settings.name.clone()) {
            problem("name", "another sink has this name".to_owned());
        }
        match (&settings.url, &settings.url_file) {
            (None, None) => problem(
                "urlFile",
                "required, or url; the file has the URL that messages are sent to".to_owned(),
            ),
            (Some(_), Some(_)) => problem("url", "cannot be set together with urlFile".to_owned()),
            _ => {}
        }
        if settings.secret_file.is_some() && !settings.kind.is_signed() {
            problem(
                "secretFile",
                format!(
                    "only messages to sinks of type webhook and cloudevents are signed; the secret of {} is the URL",
                    settings.kind.as_str()
                ),
            );
        }
        let mut namespaces = Vec::new();
        for text in &settings.namespaces {
            match glob::Pattern::new(text) {
                Ok(pattern) => namespaces.push(pattern),
                Err(error) => problem(
                    "namespaces",
                    format!(
                        "found \"{text}\": {} at position {}; allowed: globs over names of namespaces such as team-*",
                        error.msg, error.pos
                    ),
                ),
            }
        }
        sinks.push(Sink {
            settings,
            namespaces,
        });
    }
    if problems.is_empty() {
        Ok(sinks)
    } else {
        Err(problems)
    }
}

/// The name is a label of metrics and a command-line argument.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
