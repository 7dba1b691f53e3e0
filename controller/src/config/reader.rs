//! Reads values of the merged layers and keeps every mistake, where serde would stop at the first.

use std::collections::BTreeMap;

use super::{
    interpolate::interpolate,
    layers::Merged,
    node::{Node, describe, kind},
    problem::{Mistake, Problem},
    schema::{self, Holds, Key},
};

/// Reads values, and keeps what is wrong with them. Each reading gives nothing exactly when it has kept a problem.
pub(super) struct Reader<'m> {
    merged: &'m Merged,
    environment: &'m BTreeMap<String, String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'m> Reader<'m> {
    /// Reads the merged layers; `environment` is what `${NAME}` refers to.
    pub(super) fn new(merged: &'m Merged, environment: &'m BTreeMap<String, String>) -> Self {
        Self {
            merged,
            environment,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The mapping of the top level.
    pub(super) fn root(&self) -> Node<'m> {
        Node::root(&self.merged.root)
    }

    /// All problems and warnings that were kept.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<String>) {
        (self.problems, self.warnings)
    }

    /// Keeps a mistake in the value of `node`.
    pub(super) fn mistake(&mut self, node: &Node<'_>, mistake: Mistake) {
        self.problems.push(Problem {
            path: node.path.clone(),
            origin: self.origin(node),
            mistake,
        });
    }

    /// Keeps that `node` has something else than what is allowed.
    pub(super) fn invalid(&mut self, node: &Node<'_>, allowed: &'static str) {
        let found = describe(node.value);
        self.mistake(node, Mistake::Invalid { found, allowed });
    }

    /// Keeps that the mapping `node` lacks `key`.
    pub(super) fn missing(&mut self, node: &Node<'_>, key: &str, allowed: &'static str) {
        self.problems.push(Problem {
            path: node.path.key(key),
            origin: self.origin(node),
            mistake: Mistake::Missing { allowed },
        });
    }

    /// Keeps a remark on `node` that does not stop the start.
    pub(super) fn warn(&mut self, node: &Node<'_>, remark: &str) {
        let place = match self.origin(node) {
            Some(origin) => format!("{} (in {origin})", node.path),
            None => node.path.to_string(),
        };
        self.warnings.push(format!("{place}: {remark}"));
    }

    fn origin(&self, node: &Node<'_>) -> Option<String> {
        self.merged.origin(node.value.tag()).map(ToOwned::to_owned)
    }

    /// Checks that `node` is a mapping with no other than these `keys`, and so on inwards.
    pub(super) fn check_keys(&mut self, node: &Node<'_>, keys: &[Key]) {
        let Some(values) = node.value.as_dict() else {
            self.wrong_kind(node, "a mapping");
            return;
        };
        for (name, value) in values {
            let child = node.child(name, value);
            match schema::find(keys, name).map(|key| &key.holds) {
                None => {
                    let nearest = schema::nearest(name, keys);
                    self.mistake(&child, Mistake::UnknownKey { nearest });
                }
                Some(Holds::Value | Holds::Secret) => {}
                Some(Holds::Section(keys)) => self.check_keys(&child, keys),
                Some(Holds::Sections(keys)) => {
                    for entry in self.list(&child).unwrap_or_default() {
                        self.check_keys(&entry, keys);
                    }
                }
            }
        }
    }

    /// The entries of a list, without those left out.
    pub(super) fn list<'v>(&mut self, node: &Node<'v>) -> Option<Vec<Node<'v>>> {
        let Some(values) = node.value.as_array() else {
            self.wrong_kind(node, "a list");
            return None;
        };
        Some(node.entries(values))
    }

    /// What `read` makes of each entry of a list. All are read, whatever is wrong with the first.
    pub(super) fn each<T>(
        &mut self,
        node: &Node<'_>,
        mut read: impl FnMut(&mut Self, &Node<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let entries = self.list(node)?;
        let read: Vec<_> = entries.iter().map(|entry| read(self, entry)).collect();
        read.into_iter().collect()
    }

    /// What was found is not repeated: a whole secret may stand where a mapping belongs.
    fn wrong_kind(&mut self, node: &Node<'_>, allowed: &'static str) {
        let found = kind(node.value).to_owned();
        self.mistake(node, Mistake::Invalid { found, allowed });
    }

    /// A text with its variables replaced.
    pub(super) fn text(&mut self, node: &Node<'_>, allowed: &'static str) -> Option<String> {
        let Some(text) = node.value.as_str() else {
            self.invalid(node, allowed);
            return None;
        };
        match interpolate(text, self.environment) {
            Ok(replaced) if replaced.is_empty() && !text.is_empty() => {
                let found = describe(node.value);
                self.mistake(node, Mistake::ReplacedByNothing { found, allowed });
                None
            }
            Ok(replaced) if replaced.is_empty() => {
                self.invalid(node, allowed);
                None
            }
            Ok(replaced) => Some(replaced),
            Err(mistakes) => {
                for mistake in mistakes {
                    self.mistake(node, mistake);
                }
                None
            }
        }
    }

    /// A text that is never shown.
    pub(super) fn secret(&mut self, node: &Node<'_>, allowed: &'static str) -> Option<String> {
        if node.value.as_str().is_none_or(str::is_empty) {
            self.wrong_kind(node, allowed);
            return None;
        }
        self.text(node, allowed)
    }

    /// A text of which `choose` knows the meaning.
    pub(super) fn choose<T>(
        &mut self,
        node: &Node<'_>,
        allowed: &'static str,
        choose: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let chosen = choose(&self.text(node, allowed)?);
        if chosen.is_none() {
            self.invalid(node, allowed);
        }
        chosen
    }

    /// A text that `parse` understands; its error tells what was found and what is allowed.
    pub(super) fn parse<T, E: std::fmt::Display>(
        &mut self,
        node: &Node<'_>,
        allowed: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, allowed)?;
        match parse(&text) {
            Ok(value) => return Some(value),
            Err(error) if node.value.as_str() == Some(&text) => {
                let reason = error.to_string();
                self.mistake(node, Mistake::Refused { reason });
            }
            Err(_) => self.invalid(node, allowed), // the error would repeat what a variable holds
        }
        None
    }

    /// A boolean, which the environment can only give as text.
    pub(super) fn flag(&mut self, node: &Node<'_>) -> Option<bool> {
        const ALLOWED: &str = "true or false";
        if let Some(flag) = node.value.to_bool() {
            return Some(flag);
        }
        self.choose(node, ALLOWED, parse_flag)
    }

    /// A whole number that is not negative, which the environment can only give as text.
    pub(super) fn number<T>(
        &mut self,
        node: &Node<'_>,
        allowed: &'static str,
        convert: impl FnOnce(u64) -> Option<T>,
    ) -> Option<T> {
        let number = match node.value.to_num() {
            Some(number) => number
                .to_u128()
                .and_then(|number| u64::try_from(number).ok()),
            None => self.text(node, allowed)?.trim().parse().ok(),
        };
        let number = number.and_then(convert);
        if number.is_none() {
            self.invalid(node, allowed);
        }
        number
    }
}

fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
