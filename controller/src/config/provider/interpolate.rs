//! `${NAME}` in a text, replaced by the environment variable of that name.

use std::collections::BTreeMap;

use super::super::problem::Mistake;

/// Replaces each `${NAME}` of `text`. `$${` stands for a literal `${`, and what a variable holds is not looked at again.
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
                    None => mistakes.push(Mistake::VariableNotSet {
                        name: name.to_owned(),
                    }),
                }
            }
            _ => mistakes.push(Mistake::VariableWithoutName),
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
mod tests {
    use super::*;

    fn environment() -> BTreeMap<String, String> {
        [("A", "one"), ("B", "${A}"), ("EMPTY", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn each_variable_is_replaced_once() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "one"),
            ("<${A}${A}>", "<oneone>"),
            ("${EMPTY}x", "x"),
            ("${B}", "${A}"), // not looked at again
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A ${A} $", "$A one $"),
            ("$${${A}}", "${one}"),
            ("é${A}ü", "éoneü"),
        ];
        for (text, expected) in table {
            assert_eq!(
                interpolate(text, &environment()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn every_mistake_in_a_text_is_told() {
        let not_set = |name: &str| Mistake::VariableNotSet {
            name: name.to_owned(),
        };
        let table = [
            ("${C}", vec![not_set("C")]),
            ("${C}${A}${D}", vec![not_set("C"), not_set("D")]),
            ("${a}", vec![not_set("a")]), // names keep their case
            ("${}", vec![Mistake::VariableWithoutName]),
            ("${A", vec![Mistake::VariableWithoutName]),
            ("${", vec![Mistake::VariableWithoutName]),
        ];
        for (text, expected) in table {
            assert_eq!(interpolate(text, &environment()), Err(expected), "{text}");
        }
    }
}
