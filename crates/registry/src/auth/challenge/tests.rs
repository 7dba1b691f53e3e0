use http::HeaderValue;
use proptest::prelude::*;

use super::*;

#[path = "../../../../../fuzz/corpus.rs"]
mod corpus;

#[test]
fn challenges_have_their_properties() {
    corpus::replay("challenge", properties::check);
}

fn headers(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|line| {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("a header value");
            (WWW_AUTHENTICATE, value)
        })
        .collect()
}

type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn check(lines: &[&str], expected: &[Expected<'_>]) {
    let expected: Vec<Challenge> = expected
        .iter()
        .map(|(scheme, parameters)| Challenge {
            scheme: (*scheme).to_owned(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        })
        .collect();
    assert_eq!(parse(&headers(lines)), expected, "{lines:?}");
}

#[test]
fn challenges_of_real_registries_are_parsed() {
    check(
        &[
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
        ],
        &[(
            "bearer",
            &[
                ("realm", "https://auth.docker.io/token"),
                ("service", "registry.docker.io"),
                ("scope", "repository:library/nginx:pull"),
            ],
        )],
    );
    // Gitea: two lines, the second bare
    check(
        &[r#"Bearer realm="https://git.example/v2/token""#, "Basic"],
        &[
            ("bearer", &[("realm", "https://git.example/v2/token")]),
            ("basic", &[]),
        ],
    );
    // zot: lower case, no quotes around an address, an empty scope
    check(
        &[r#"bearer realm=https://zot.example/zot/auth/token?x=y,service=zot,scope="""#],
        &[(
            "bearer",
            &[
                ("realm", "https://zot.example/zot/auth/token?x=y"),
                ("service", "zot"),
                ("scope", ""),
            ],
        )],
    );
    // Harbor after a bad token
    check(
        &[r#"Basic realm="harbor""#],
        &[("basic", &[("realm", "harbor")])],
    );
}

#[test]
fn challenges_are_parsed_by_the_grammar() {
    let cases: &[(&str, &[Expected<'_>])] = &[
        ("", &[]),
        (" , ,", &[]),
        ("Basic", &[("basic", &[])]),
        (
            r#"Negotiate, Basic realm="a", Bearer realm="b""#,
            &[
                ("negotiate", &[]),
                ("basic", &[("realm", "a")]),
                ("bearer", &[("realm", "b")]),
            ],
        ),
        (
            r#"Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+=, Bearer realm="b""#,
            &[("negotiate", &[]), ("bearer", &[("realm", "b")])],
        ),
        (
            r#"Bearer realm="a",scope="repository:a:pull,push",error="invalid_token""#,
            &[(
                "bearer",
                &[
                    ("realm", "a"),
                    ("scope", "repository:a:pull,push"),
                    ("error", "invalid_token"),
                ],
            )],
        ),
        (
            r#"Basic realm="say \"hi\" \\ there""#,
            &[("basic", &[("realm", r#"say "hi" \ there"#)])],
        ),
        (
            r#"BEARER ReAlM = "a" , SERVICE = b"#,
            &[("bearer", &[("realm", "a"), ("service", "b")])],
        ),
        (
            r#"Bearer realm="never closed, scope=x"#,
            &[("bearer", &[("realm", "never closed, scope=x")])],
        ),
        (
            r#"Bearer ,,realm="a",,service="b","#,
            &[("bearer", &[("realm", "a"), ("service", "b")])],
        ),
        (r#"realm="without a scheme""#, &[]),
        (
            r#"Bearer realm="first",realm="second""#,
            &[("bearer", &[("realm", "first"), ("realm", "second")])],
        ),
        (r#"Bearer realm="ä""#, &[("bearer", &[("realm", "ä")])]),
    ];
    for (line, expected) in cases {
        check(&[line], expected);
    }
}

#[test]
fn the_first_of_repeated_parameters_wins() {
    let challenges = parse(&headers(&[r#"Bearer realm="first",realm="second""#]));
    assert_eq!(challenges[0].parameter("realm"), Some("first"));
    assert_eq!(challenges[0].parameter("service"), None);
}

#[test]
fn the_number_of_challenges_is_bounded() {
    let line = vec![r#"Bearer realm="https://a.example/token""#; 1000].join(", ");
    assert_eq!(parse(&headers(&[&line])).len(), MAX_CHALLENGES);
    let line = format!("Bearer {}", vec![r#"realm="a""#; 1000].join(", "));
    assert_eq!(
        parse(&headers(&[&line]))[0].parameters.len(),
        MAX_PARAMETERS
    );
}

proptest! {
    #[test]
    fn any_line_is_read_to_its_end(line in "[ -~\t]{0,200}") {
        let challenges = parse(&headers(&[&line]));
        prop_assert!(challenges.len() <= MAX_CHALLENGES);
    }

    #[test]
    fn what_is_quoted_comes_out_as_it_went_in(
        realm in "[ -~]{0,60}",
        scope in "[ -~]{0,60}",
    ) {
        let quote = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
        let line = format!(r#"Basic, Bearer realm="{}", scope="{}""#, quote(&realm), quote(&scope));
        let challenges = parse(&headers(&[&line]));
        prop_assert_eq!(challenges.len(), 2);
        prop_assert_eq!(challenges[1].parameter("realm"), Some(realm.as_str()));
        prop_assert_eq!(challenges[1].parameter("scope"), Some(scope.as_str()));
    }
}
