//! Namespaces and platforms.

use kube_autorollout_core::platform::Platforms;

use super::{Given, check_problems};
use crate::config::Namespaces;

#[test]
fn namespaces_are_none_some_or_all() {
    let given = Given::new();
    let listed =
        |names: &[&str]| Namespaces::Listed(names.iter().map(|&name| name.to_owned()).collect());
    let table = [
        ("watch: { namespaces: [] }", Namespaces::Own),
        ("watch: { namespaces: }", Namespaces::Own),
        ("watch: { namespaces: [~] }", Namespaces::Own),
        ("watch: { namespaces: [one, no] }", listed(&["one", "no"])), // `no` is no boolean
        ("watch: { namespaces: ['*'] }", Namespaces::All),
    ];
    for (text, expected) in table {
        assert_eq!(given.config(text).namespaces, expected, "{text}");
    }
}

#[test]
fn invalid_namespaces_are_problems() {
    let given = Given::new();
    let name = "the name of a namespace, or [\"*\"] for the whole cluster";
    for found in ["", "Team", "a.b", "-a", "a-", "a b", "**", &"a".repeat(64)] {
        let expected =
            format!("watch.namespaces[0] (in DIR/config.yaml): found {found:?}; allowed: {name}");
        assert_eq!(
            given.problems(&format!("watch: {{ namespaces: ['{found}'] }}")),
            [expected]
        );
    }
    check_problems(
        &given,
        &[
            (
                "watch: { namespaces: ['*', one] }",
                r#"watch.namespaces[0] (in DIR/config.yaml): found "*"; allowed: ["*"] alone, or names only"#,
            ),
            (
                "watch: { namespaces: [one, ~, one] }",
                r#"watch.namespaces[2] (in DIR/config.yaml): found "one"; allowed: unique namespaces"#,
            ),
            (
                "watch: { namespaces: one }",
                "watch.namespaces (in DIR/config.yaml): found a string; allowed: a list",
            ),
            (
                "watch: { namespaces: [12] }",
                r#"watch.namespaces[0] (in DIR/config.yaml): found 12; allowed: the name of a namespace, or ["*"] for the whole cluster"#,
            ),
        ],
    );
}

#[test]
fn platforms_are_parsed() {
    let given = Given::new();
    let of = |texts: &[&str]| {
        Platforms::Of(
            texts
                .iter()
                .map(|text| text.parse().expect("a test's own platform"))
                .collect(),
        )
    };
    assert_eq!(given.config("platforms: []").platforms, Platforms::Every);
    assert_eq!(
        given
            .config("platforms: [linux/amd64, linux/arm/v7]")
            .platforms,
        of(&["linux/amd64", "linux/arm/v7"])
    );
    let problems = given.problems("platforms: [linux, linux/amd64, 5]");
    let [first, second] = problems.as_slice() else {
        panic!("two of the entries are wrong: {problems:?}");
    };
    assert!(
        first.starts_with(r#"platforms[0] (in DIR/config.yaml): cannot parse platform "linux": "#),
        "{first}"
    );
    assert_eq!(
        second,
        "platforms[2] (in DIR/config.yaml): found 5; allowed: os/architecture or os/architecture/variant"
    );
}
