//! `${NAME}` in a text, replaced by the environment variable of that name.

use std::collections::BTreeMap;

use super::super::problem::Mistake;

/// The mistake of a `${` that is no variable.
const WITHOUT_NAME: &str =
    "found ${ without a name and }; allowed: ${NAME}, or $${ for a literal ${";

/// Replaces each `${NAME}` of `text`. `$${` stands for a literal `${`, and what a variable holds is not replaced again.
///
/// # Errors
///
/// One mistake for each variable that is not set, and for each `${` that no name and `}` follow.
pub(in crate::config) fn interpolate(
    text: &str,
    environment: &BTreeMap<String, String>,
) -> Result<String, Vec<Mistake>> {
    let mut replaced = String::with_capacity(text.len());
    let mut mistakes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        rest = after;
        if let Some(before) = before.strip_suffix('$') {
            replaced.push_str(before);
            replaced.push_str("${");
            continue;
        }
        replaced.push_str(before);
        match after.split_once('}') {
            Some((name, after)) if !name.is_empty() => {
                rest = after;
                match environment.get(name) {
                    Some(value) => replaced.push_str(value),
                    None => mistakes.push(format!("the environment variable {name} is not set")),
                }
            }
            _ => mistakes.push(WITHOUT_NAME.to_owned()),
        }
    }
    replaced.push_str(rest);
    if mistakes.is_empty() {
        Ok(replaced)
    } else {
        Err(mistakes)
    }
}

#[cfg(test)]
mod tests;
