//! Parses `WWW-Authenticate` (RFC 9110, section 11.6.1), leniently, as registries violate the grammar.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// More challenges than any registry sends; the rest is ignored.
const MAX_CHALLENGES: usize = 16;

/// More parameters than any challenge has; the rest is ignored.
const MAX_PARAMETERS: usize = 16;

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first parameter with this name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// The challenges in all header lines of a response, in order.
pub(crate) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for line in headers.get_all(WWW_AUTHENTICATE) {
        let line = String::from_utf8_lossy(line.as_bytes());
        Parser { rest: &line }.parse(&mut challenges);
    }
    challenges
}

/// A parser of one header line.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn parse(mut self, challenges: &mut Vec<Challenge>) {
        // Parameters belong to a scheme of the same line.
        let mut current: Option<Challenge> = None;
        loop {
            self.take(|c| c == ',' || is_blank(c));
            let name = self.take(is_token_char);
            if name.is_empty() {
                // Against the grammar, a closing quote for example: continue after it.
                if self.skip_one() {
                    continue;
                }
                break;
            }
            if let Some(value) = self.parameter_value() {
                if let Some(challenge) = &mut current
                    && challenge.parameters.len() < MAX_PARAMETERS
                {
                    challenge
                        .parameters
                        .push((name.to_ascii_lowercase(), value));
                }
                continue;
            }
            challenges.extend(current.take());
            if challenges.len() >= MAX_CHALLENGES {
                return;
            }
            current = Some(Challenge {
                scheme: name.to_ascii_lowercase(),
                parameters: Vec::new(),
            });
            self.skip_token68();
        }
        challenges.extend(current);
    }

    /// The value of a parameter, if an equals sign follows. An unquoted value may contain any characters but commas and
    /// blanks: some registries send unquoted URLs.
    fn parameter_value(&mut self) -> Option<String> {
        let value = self.rest.trim_start_matches(is_blank).strip_prefix('=')?;
        self.rest = value.trim_start_matches(is_blank);
        if let Some(quoted) = self.rest.strip_prefix('"') {
            self.rest = quoted;
            Some(self.quoted())
        } else {
            Some(self.take(|c| c != ',' && !is_blank(c)).to_owned())
        }
    }

    /// The rest of a quoted string. A missing closing quote ends it with the line.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.rest.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => value.extend(chars.next()),
                other => value.push(other),
            }
        }
        self.rest = chars.as_str();
        value
    }

    /// Skips the token68 that a scheme may have instead of parameters, Negotiate for example.
    fn skip_token68(&mut self) {
        let after = self.rest.trim_start_matches(is_blank);
        let end =
            after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        let end = end.trim_start_matches('=').trim_start_matches(is_blank);
        if after.len() < self.rest.len() && (end.is_empty() || end.starts_with(',')) {
            self.rest = end;
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_one(&mut self) -> bool {
        let mut chars = self.rest.chars();
        let skipped = chars.next().is_some();
        self.rest = chars.as_str();
        skipped
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// RFC 9110, section 5.6.2.
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(test)]
mod tests;
