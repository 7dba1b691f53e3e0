use super::*;

fn environment() -> BTreeMap<String, String> {
    [("A", "one"), ("B", "${A}"), ("EMPTY", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn each_variable_is_expanded_once() {
    let table = [
        ("", ""),
        ("plain", "plain"),
        ("${A}", "one"),
        ("<${A}${A}>", "<oneone>"),
        ("${EMPTY}x", "x"),
        ("${B}", "${A}"), // not expanded again
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
fn every_error_in_a_text_is_reported() {
    let not_set = |name: &str| format!("the environment variable {name} is not set");
    let without_name = || vec![WITHOUT_NAME.to_owned()];
    let table = [
        ("${C}", vec![not_set("C")]),
        ("${C}${A}${D}", vec![not_set("C"), not_set("D")]),
        ("${a}", vec![not_set("a")]), // names keep their case
        ("${}", without_name()),
        ("${A", without_name()),
        ("${", without_name()),
    ];
    for (text, expected) in table {
        assert_eq!(interpolate(text, &environment()), Err(expected), "{text}");
    }
}
