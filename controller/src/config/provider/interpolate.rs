//! Expands `${NAME}` in a text to the environment variable of that name.

use std::collections::BTreeMap;

use super::super::problem::Message;

/// The message for a `${` that does not begin a variable.
const WITHOUT_NAME: &str =
    "found ${ without a name and }; allowed: ${NAME}, or $${ for a literal ${";

/// Expands each `${NAME}` of `text`. `$${` is a literal `${`, and the values of variables are not expanded.
///
/// # Errors
///
/// One message for each variable that is not set, and for each `${` without a name and `}`.
pub(in crate::config) fn interpolate(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<String, Vec<Message>> {
    let mut expanded = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        rest = after;
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            continue;
        }
        expanded.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if !name.is_empty() => {
                rest = after;
                match environment.get(name) {
                    Some(value) => expanded.push_str(value),
                    None => errors.push(format!("the environment variable {name} is not set")),
                }
            }
            _ => errors.push(WITHOUT_NAME.to_owned()),
        }
    }
    expanded.push_str(rest);
    if errors.is_empty() {
        Ok(expanded)
    } else {
        Err(errors)
    }
}

#[cfg(test)]
mod tests;
