//! `WWW-Authenticate`, as RFC 9110 (section 11.6.1) writes it and as registries do.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// More challenges than any registry offers; the rest is not read.
const MAX_CHALLENGES: usize = 16;

/// More parameters than any challenge has; the rest is not kept.
const MAX_PARAMETERS: usize = 16;

/// One way of authentication that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first parameter of this name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// All challenges of a response, in order, over all its header lines.
pub(crate) fn parse(headers: &HeaderMap) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    for line in headers.get_all(WWW_AUTHENTICATE) {
        let line = String::from_utf8_lossy(line.as_bytes());
        Reader { rest: &line }.read(&mut challenges);
    }
    challenges
}

/// Reads one header line from its start to its end.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn read(mut self, challenges: &mut Vec<Challenge>) {
        // Parameters belong to a scheme of the same line.
        let mut current: Option<Challenge> = None;
        loop {
            self.skip(|letter| letter == ',' || is_blank(letter));
            let name = self.take(is_token_letter);
            if name.is_empty() {
                // Not of the grammar, a closing quote for example: what comes after it may be.
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

    /// The value of a parameter, if an equals sign follows. A value without quotes may hold any letter but a comma and
    /// blanks: some registries write whole addresses so.
    fn parameter_value(&mut self) -> Option<String> {
        let value = self.rest.trim_start_matches(is_blank).strip_prefix('=')?;
        self.rest = value.trim_start_matches(is_blank);
        if let Some(quoted) = self.rest.strip_prefix('"') {
            self.rest = quoted;
            Some(self.quoted())
        } else {
            Some(
                self.take(|letter| letter != ',' && !is_blank(letter))
                    .to_owned(),
            )
        }
    }

    /// The rest of a quoted string. A missing closing quote ends it with the line.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut letters = self.rest.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => value.extend(letters.next()),
                other => value.push(other),
            }
        }
        self.rest = letters.as_str();
        value
    }

    /// Skips the one unnamed value that a scheme may have instead of parameters, for example of Negotiate.
    fn skip_token68(&mut self) {
        let after = self.rest.trim_start_matches(is_blank);
        let end = after.trim_start_matches(|letter: char| {
            letter.is_ascii_alphanumeric() || "-._~+/".contains(letter)
        });
        let end = end.trim_start_matches('=').trim_start_matches(is_blank);
        if after.len() < self.rest.len() && (end.is_empty() || end.starts_with(',')) {
            self.rest = end;
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self
            .rest
            .find(|letter| !belongs(letter))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        self.take(belongs);
    }

    fn skip_one(&mut self) -> bool {
        let mut letters = self.rest.chars();
        let skipped = letters.next().is_some();
        self.rest = letters.as_str();
        skipped
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t')
}

/// RFC 9110, section 5.6.2.
fn is_token_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(test)]
mod tests;
