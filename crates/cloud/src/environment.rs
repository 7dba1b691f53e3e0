//! Environment variables, and the files that they name. Files are read at each use, because tokens rotate.

use std::{collections::BTreeMap, fmt, fs};

use crate::failure::Failure;

/// The environment variables of the process, redacted in `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn new(variables: &BTreeMap<String, String>) -> Self {
        // Variables that no cloud uses are dropped.
        let is_used = |name: &str| {
            let prefixes = ["AWS_", "AZURE_", "GOOGLE_", "GCE_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        let used = variables.iter().filter(|(name, _)| is_used(name));
        let trimmed = used.map(|(name, value)| (name.clone(), value.trim().to_owned()));
        Self(trimmed.collect())
    }

    /// The value of a variable, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// The trimmed content of a file, which must be a single line: it is sent in a header or a form.
pub(crate) fn read_line(
    step: &str,
    variable: &str,
    path: &str,
    advice: &'static str,
) -> Result<String, Failure> {
    let text = read_text(step, variable, path, advice)?;
    if text.contains(char::is_control) {
        let what = format!("{path} ({variable}) has more than one line");
        return Err(Failure::permanent(step, what, advice));
    }
    Ok(text)
}

/// The trimmed content of the file at `path`, the value of `variable`.
pub(crate) fn read_text(
    step: &str,
    variable: &str,
    path: &str,
    advice: &'static str,
) -> Result<String, Failure> {
    let refused = |what| Failure::permanent(step, what, advice);
    let text = fs::read_to_string(path)
        .map_err(|error| refused(format!("cannot read {path} ({variable}): {error}")))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(refused(format!("{path} ({variable}) is empty")));
    }
    Ok(text.to_owned())
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment(..)")
    }
}
