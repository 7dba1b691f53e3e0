//! What the environment says: variables, and files that they name, which are read at each use, as they rotate.

use std::{collections::BTreeMap, fmt, fs};

use crate::failure::Failure;

/// The variables of the process. `Debug` shows none of them.
#[derive(Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(crate) fn new(variables: &BTreeMap<String, String>) -> Self {
        // What no cloud reads is not kept.
        let used = |name: &str| {
            let prefixes = ["AWS_", "AZURE_", "GOOGLE_", "GCE_"];
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        };
        let kept = variables.iter().filter(|(name, _)| used(name));
        Self(
            kept.map(|(name, value)| (name.clone(), value.trim().to_owned()))
                .collect(),
        )
    }

    /// A variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Whether a variable is set to `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The one line that the file of this path holds, to be sent in a header or a form; `variable` names it.
    pub(crate) fn read(
        &self,
        step: &str,
        variable: &str,
        path: &str,
        advice: &'static str,
    ) -> Result<String, Failure> {
        let text = self.read_text(step, variable, path, advice)?;
        if text.contains(char::is_control) {
            let what = format!("{path} ({variable}) has more than one line");
            return Err(Failure::refused(step, what, advice));
        }
        Ok(text)
    }

    /// What the file of this path holds, trimmed.
    #[expect(clippy::unused_self, reason = "files are part of the environment")]
    pub(crate) fn read_text(
        &self,
        step: &str,
        variable: &str,
        path: &str,
        advice: &'static str,
    ) -> Result<String, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read {path} ({variable}): {error}");
            Failure::refused(step, what, advice)
        })?;
        let text = text.trim();
        if text.is_empty() {
            let what = format!("{path} ({variable}) is empty");
            return Err(Failure::refused(step, what, advice));
        }
        Ok(text.to_owned())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Environment(..)")
    }
}
