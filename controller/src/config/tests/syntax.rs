//! Invalid files, unknown keys, keys without a value, and variables.

use super::{Given, check_problems};
use crate::config::{Secret, TokenSource};

#[test]
fn a_file_that_is_not_a_yaml_mapping_is_one_problem() {
    check_problems(
        &Given::new(),
        &[
            ("", ""),
            ("# a remark\n", ""),
            ("{}", ""),
            ("- a", "DIR/config.yaml: found a list; allowed: a mapping"),
            (
                "hello",
                "DIR/config.yaml: found a string; allowed: a mapping",
            ),
            (
                "webserver:\n  port: [1\nlogLevel: x",
                "DIR/config.yaml: not valid YAML: illegal placement of ':' indicator at line 3, column 9",
            ),
            (
                "cronSchedule: */45 * * * * *",
                "DIR/config.yaml: not valid YAML: alias references unknown anchor at line 1, column 15 (quote strings that begin with *)",
            ),
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_reported_with_the_problems_of_the_environment() {
    let given = Given::new().variable("KUBE_AUTOROLLOUT_WEBSERVER__PORT", "0");
    let path = given.path("missing.yaml");
    let problems = crate::config::load(Some(&path), &given.environment).expect_err("problems");
    assert_eq!(
        problems.to_string(),
        format!(
            "the configuration has 2 problems:\n  \
             {}: the file cannot be read: No such file or directory (os error 2)\n  \
             webserver.port (in KUBE_AUTOROLLOUT_WEBSERVER__PORT): found \"0\"; allowed: an integer from 1 to 65535",
            path.display()
        )
    );
}

#[test]
fn every_duplicate_key_is_reported_with_its_lines() {
    check_problems(
        &Given::new(),
        &[(
            "interval: 1m\nregistries:\n  - hostnamePattern: a\n    hostnamePattern: b\ninterval: 2m\ninterval: 3m\n",
            "
            interval (in DIR/config.yaml): duplicate key (lines 1, 5)
            interval (in DIR/config.yaml): duplicate key (lines 1, 6)
            registries[0].hostnamePattern (in DIR/config.yaml): duplicate key (lines 3, 4)
            ",
        )],
    );
}

#[test]
fn unknown_keys_are_reported_with_the_nearest_known_one() {
    check_problems(
        &Given::new(),
        &[
            ("cronschedule: x", "cronschedule (in DIR/config.yaml): unknown key; the nearest known key is cronSchedule"),
            ("port: 80", "port (in DIR/config.yaml): unknown key; the nearest known key is webserver.port"),
            ("{webserver: {prot: 80}}", "webserver.prot (in DIR/config.yaml): unknown key; the nearest known key is port"),
            (
                "registries: [{hostnamePattern: a, token: not-to-be-shown, plainHTTP: true}]",
                "
                registries[0].plainHTTP (in DIR/config.yaml): unknown key; the nearest known key is plainHttp
                registries[0].token (in DIR/config.yaml): unknown key; the nearest known key is registries[].secret.token
                ",
            ),
            (
                "registries: [{hostnamePattern: a, secret: {tokn: not-to-be-shown}}]",
                "registries[0].secret.tokn (in DIR/config.yaml): unknown key; the nearest known key is token",
            ),
            ("${KEY}: x", "${KEY} (in DIR/config.yaml): unknown key; the nearest known key is registries[].secret.key"),
        ],
    );
}

#[test]
fn an_unknown_key_without_a_value_counts_as_not_set() {
    assert!(
        Given::new()
            .load("{unknown: , webserver: {prot: ~}}")
            .is_ok()
    );
}

#[test]
fn keys_without_a_value_count_as_not_set_at_any_depth() {
    let given = Given::new();
    let nothing = "
cronSchedule:
interval:
timeZone: ~
logLevel: null
logFormat:
webserver:
watch: { namespaces: }
platforms:
rollouts: { maxConcurrent: , minInterval: , settle: }
pinning: { enabled: }
leaderElection: { enabled: }
registries:
tls: { caCertificatePaths: [~] }
featureFlags:
  enableJfrogArtifactoryFallback:
  enableKubectlAnnotation:
";
    let defaults = given.load_without_file().expect("the defaults");
    let loaded = given.load(nothing).expect("a start");
    assert_eq!(loaded.config.schedule, defaults.config.schedule);
    assert_eq!(loaded.config.port, defaults.config.port);
    assert!(loaded.config.ca_certificates.is_empty());

    let registries = "
registries:
  -
  - hostnamePattern:
    secret: { type: , name: , key: , username: , token: }
  - hostnamePattern: ghcr.io
    secret: { type: Opaque, username: , token: abc }
    plainHttp:
    maxConcurrentRequests:
    caCertificatePaths:
  - { hostnamePattern: docker.io, secret: }
";
    let config = given.config(registries);
    let secrets: Vec<_> = config
        .registries
        .iter()
        .map(|entry| &entry.secret)
        .collect();
    let [Secret::Opaque { username: None, .. }, Secret::None] = secrets.as_slice() else {
        panic!("two entries: {secrets:?}");
    };
}

#[test]
fn a_key_without_a_value_in_a_variable_does_not_override_the_file() {
    let given = Given::new().variable("KUBE_AUTOROLLOUT_WEBSERVER", "{port: }");
    assert_eq!(given.config("webserver: {port: 81}").port.get(), 81);
}

#[test]
fn variables_are_expanded_in_any_value_after_parsing() {
    let token = "a: [b\n#\"}${PORT}";
    let given = Given::new()
        .variable("TOKEN", token)
        .variable("PORT", "9090")
        .variable("SPACE", "team")
        .variable("KUBE_AUTOROLLOUT_WATCH__NAMESPACES", "[\"${SPACE}-a\"]");
    let config = given.config(
        "# ${NOT_SET} in a remark\nwebserver: {port: \"${PORT}\"}\nregistries: [{hostnamePattern: x, secret: {token: '${TOKEN}'}}, {hostnamePattern: y, secret: {token: '$${TOKEN}'}}]",
    );
    assert_eq!(config.port.get(), 9090);
    assert_eq!(
        config.namespaces,
        crate::config::Namespaces::Listed(vec!["team-a".to_owned()])
    );
    let tokens: Vec<_> = config
        .registries
        .iter()
        .map(|entry| match &entry.secret {
            Secret::Opaque {
                token: TokenSource::Inline(token),
                ..
            } => token.expose(),
            other => panic!("a token: {other:?}"),
        })
        .collect();
    assert_eq!(tokens, [token, "${TOKEN}"]);
}

#[test]
fn variables_that_are_not_set_are_problems() {
    check_problems(
        &Given::new().variable("EMPTY", ""),
        &[
            (
                "{timeZone: '${A}/${B}', webserver: {port: '${C}'}, featureFlags: {enableKubectlAnnotation: '${D'}}",
                "
                featureFlags.enableKubectlAnnotation (in DIR/config.yaml): found ${ without a name and }; allowed: ${NAME}, or $${ for a literal ${
                timeZone (in DIR/config.yaml): the environment variable A is not set
                timeZone (in DIR/config.yaml): the environment variable B is not set
                webserver.port (in DIR/config.yaml): the environment variable C is not set
                ",
            ),
            (
                "{logLevle: '${A}', registries: [{hostnamePattern: a, caCertificatePaths: '${B}', secret: {tokn: '${C}'}}]}",
                "
                logLevle (in DIR/config.yaml): the environment variable A is not set
                logLevle (in DIR/config.yaml): unknown key; the nearest known key is logLevel
                registries[0].caCertificatePaths (in DIR/config.yaml): the environment variable B is not set
                registries[0].secret.tokn (in DIR/config.yaml): the environment variable C is not set
                registries[0].secret.tokn (in DIR/config.yaml): unknown key; the nearest known key is token
                ",
            ),
            (
                "webserver: {port: '${EMPTY}'}",
                r#"webserver.port (in DIR/config.yaml): found "${EMPTY}", which expands to an empty string; allowed: an integer from 1 to 65535"#,
            ),
        ],
    );
}

#[test]
fn hostile_input_is_a_problem_and_never_a_panic() {
    let long = format!("logLevel: {}", "x".repeat(1_000_000));
    let deep = "webserver: ".to_owned() + &"[".repeat(100_000);
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n".to_owned();
    let table = [
        "\0",
        "\u{feff}: x",
        "? [a, b]\n: c",
        "~: x",
        "a: &a [*a]",
        "<<: {webserver: {port: 1}}",
        "!!binary x: !!int y",
        "--- a\n--- b",
        "{",
        "\"",
        "webserver: {port: .nan}",
        "webserver: {port: 1e400}",
        "webserver: {port: !!float x}",
        "registries: [[[]]]",
        "registries: {a: b}",
        "registries: [1, true, x]",
        "tls: {caCertificatePaths: {}}",
        "interval: 99999999999999999999999999h",
        "rollouts: {minInterval: s}",
        "timeZone: ../../etc/passwd",
        "${}: ${}",
        "logLevel: ${",
        long.as_str(),
        deep.as_str(),
        bomb.as_str(),
    ];
    let given = Given::new();
    for text in table {
        let problems = given.problems(text);
        let shown: String = text.chars().take(80).collect();
        assert!(!problems.is_empty(), "{shown}");
        assert!(
            problems.iter().all(|problem| problem.len() < 500),
            "{shown}: {problems:?}"
        );
    }
}
