//! The message of an invalid configuration.

use super::Given;

#[test]
fn a_file_with_five_problems_gives_one_message_with_all_five() {
    let given = Given::new();
    let text = r#"
cronSchedule: "every day"
webserver: { port: 0 }
logLevle: debug
registries:
  - hostnamePattern: "ghcr.io"
    secret: { type: Opaque, token: "${GHCR_TOKEN}" }
tls:
  caCertificatePaths: [DIR/ca.crt]
"#;
    let message = given.load(text).expect_err("five problems");
    assert_eq!(
        message,
        r#"the configuration has 5 problems:
  cronSchedule (in DIR/config.yaml): cannot parse cron expression "every day": it has 2 fields; allowed are 5, or 6 with seconds first
  logLevle (in DIR/config.yaml): unknown key; the nearest known key is logLevel
  registries[0].secret.token (in DIR/config.yaml): the environment variable GHCR_TOKEN is not set
  tls.caCertificatePaths[0] (in DIR/config.yaml): the file DIR/ca.crt cannot be read: No such file or directory (os error 2)
  webserver.port (in DIR/config.yaml): found 0; allowed: an integer from 1 to 65535"#
    );
}

#[test]
fn a_single_problem_is_in_the_singular() {
    let message = Given::new()
        .load("webserver: { port: 0 }")
        .expect_err("a problem");
    assert_eq!(
        message,
        "the configuration has 1 problem:\n  webserver.port (in DIR/config.yaml): found 0; allowed: an integer from 1 to 65535"
    );
}

#[test]
fn problems_are_sorted_by_key_and_entries_by_number() {
    let entries = "1, ".repeat(11);
    let problems = Given::new().problems(&format!(
        "{{watch: {{namespaces: [{entries}]}}, interval: 1, platforms: 2}}"
    ));
    let places: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem.split_once(" (in"))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(
        places[..4],
        [
            "interval",
            "platforms",
            "watch.namespaces[0]",
            "watch.namespaces[1]"
        ]
    );
    assert_eq!(
        places[11..],
        ["watch.namespaces[9]", "watch.namespaces[10]"]
    );
}

#[test]
fn long_texts_are_cut_and_control_characters_escaped() {
    let problems = Given::new().problems(&format!("logFormat: \"a\\nb{}\"", "ä".repeat(200)));
    assert_eq!(
        problems,
        [format!(
            "logFormat (in DIR/config.yaml): found \"a\\nb{}…\"; allowed: text or json",
            "ä".repeat(77)
        )]
    );
}
