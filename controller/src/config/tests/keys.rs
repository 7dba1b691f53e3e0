//! Keys of the top level, except registries.

use std::time::Duration;

use jiff::tz::TimeZone;
use kube_autorollout_core::{platform::Platforms, schedule::Schedule};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Given, check_problems};
use crate::config::{LogFormat, Namespaces, Rollouts};

pub(super) fn cron(text: &str, zone: &str) -> Schedule {
    let zone = TimeZone::get(zone).expect("a known zone");
    Schedule::parse_cron(text, &zone).expect("a test's own expression")
}

pub(super) fn interval(text: &str) -> Schedule {
    Schedule::parse_interval(text).expect("a test's own interval")
}

#[test]
fn without_file_and_environment_everything_has_its_documented_default() {
    let loaded = Given::new().load_without_file().expect("the defaults");
    let config = loaded.config;
    assert_eq!(config.schedule, cron("*/45 * * * * *", "UTC"));
    assert_eq!(config.zone, TimeZone::UTC);
    assert_eq!(
        config.log_level.targets(),
        &Targets::new().with_default(LevelFilter::INFO)
    );
    assert_eq!(config.log_format, LogFormat::Text);
    assert_eq!(config.port.get(), 8080);
    assert_eq!(config.namespaces, Namespaces::Own);
    assert_eq!(config.platforms, Platforms::Every);
    assert!(config.registries.is_empty());
    assert!(config.ca_certificates.is_empty());
    assert!(!config.kubectl_annotation);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(
        loaded.effective,
        serde_json::json!({
            "cronSchedule": "*/45 * * * * *",
            "timeZone": "UTC",
            "logLevel": "info",
            "logFormat": "text",
            "webserver": { "port": 8080 },
            "watch": { "namespaces": [] },
            "platforms": [],
            "rollouts": {
                "maxConcurrent": 0, "minInterval": "0s", "settle": "0s", "retryAfter": ["10m", "1h", "6h"],
            },
            "hints": { "port": 8081, "receivers": [] },
            "notifications": { "cluster": "", "sinks": [] },
            "pinning": { "enabled": false },
            "leaderElection": { "enabled": false },
            "registries": [],
            "tls": { "caCertificatePaths": [] },
            "featureFlags": { "enableJfrogArtifactoryFallback": false, "enableKubectlAnnotation": false },
        })
    );
}

#[test]
fn the_log_level_is_a_level_or_a_list_of_targets_with_levels() {
    let all = |level: LevelFilter| Targets::new().with_default(level);
    let given = Given::new();
    let table = [
        ("logLevel: debug", all(LevelFilter::DEBUG)),
        ("logLevel: WARN", all(LevelFilter::WARN)),
        (
            "logLevel: kube=trace",
            all(LevelFilter::INFO).with_target("kube", LevelFilter::TRACE),
        ),
        (
            "logLevel: error, kube_runtime::watcher=off",
            all(LevelFilter::ERROR).with_target("kube_runtime::watcher", LevelFilter::OFF),
        ),
        (
            "logLevel: [hyper=warn, debug, ]",
            all(LevelFilter::DEBUG).with_target("hyper", LevelFilter::WARN),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(given.config(text).log_level.targets(), &expected, "{text}");
    }
}

#[test]
fn invalid_log_settings_are_problems() {
    let given = Given::new();
    for found in [
        "inof",
        "kube",
        "kube=",
        "=info",
        "info,",
        "kube=debug=info",
        "kube[span]=info",
        "5",
    ] {
        let expected = format!(
            "logLevel (in DIR/config.yaml): found {found:?}; allowed: trace, debug, info, warn, error or off, or a comma-separated list of target=level"
        );
        assert_eq!(given.problems(&format!("logLevel: '{found}'")), [expected]);
    }
    check_problems(
        &given,
        &[
            (
                "logLevel: [info, kube, 5]",
                r#"
                logLevel[1] (in DIR/config.yaml): found "kube"; allowed: trace, debug, info, warn, error or off, or a comma-separated list of target=level
                logLevel[2] (in DIR/config.yaml): found 5; allowed: trace, debug, info, warn, error or off, or a comma-separated list of target=level
                "#,
            ),
            (
                "logFormat: yaml",
                r#"logFormat (in DIR/config.yaml): found "yaml"; allowed: text or json"#,
            ),
        ],
    );
    assert_eq!(given.config("logFormat: json").log_format, LogFormat::Json);
}

#[test]
fn ports_are_numbers_from_1_to_65535() {
    let given = Given::new()
        .variable("PORT", "9090")
        .variable("WORD", "http");
    for (text, port) in [
        ("1", 1),
        ("65535", 65535),
        ("'8081'", 8081),
        ("'${PORT}'", 9090),
        ("${PORT}", 9090),
    ] {
        let config = given.config(&format!("webserver:\n  port: {text}"));
        assert_eq!(config.port.get(), port, "{text}");
    }
    for found in [
        "0",
        "65536",
        "-1",
        "1.5",
        "18446744073709551615",
        "true",
        "\"8080x\"",
    ] {
        let expected = format!(
            "webserver.port (in DIR/config.yaml): found {found}; allowed: an integer from 1 to 65535"
        );
        assert_eq!(
            given.problems(&format!("webserver: {{ port: {found} }}")),
            [expected]
        );
    }
    check_problems(
        &given,
        &[
            (
                "webserver: { port: \"${WORD}\" }",
                r#"webserver.port (in DIR/config.yaml): found "${WORD}"; allowed: an integer from 1 to 65535"#,
            ),
            (
                "webserver: { port: [80] }",
                "webserver.port (in DIR/config.yaml): found a list; allowed: an integer from 1 to 65535",
            ),
            (
                "webserver: [80]",
                "webserver (in DIR/config.yaml): found a list; allowed: a mapping",
            ),
            (
                "webserver: 80",
                "webserver (in DIR/config.yaml): found a number; allowed: a mapping",
            ),
        ],
    );
}

#[test]
fn feature_flags_are_booleans() {
    let given = Given::new().variable("FLAG", "true");
    for (text, expected) in [
        ("true", true),
        ("'TRUE'", true),
        ("${FLAG}", true),
        ("false", false),
        ("", false),
    ] {
        let config = given.config(&format!("featureFlags:\n  enableKubectlAnnotation: {text}"));
        assert_eq!(config.kubectl_annotation, expected, "{text}");
    }
    check_problems(
        &given,
        &[(
            "featureFlags: { enableKubectlAnnotation: yes }",
            r#"featureFlags.enableKubectlAnnotation (in DIR/config.yaml): found "yes"; allowed: true or false"#,
        )],
    );
}

#[test]
fn the_fallback_for_artifactory_is_off_by_default() {
    let given = Given::new();
    for (text, expected) in [
        ("{}", false),
        (
            "featureFlags: { enableJfrogArtifactoryFallback: false }",
            false,
        ),
        (
            "featureFlags: { enableJfrogArtifactoryFallback: true }",
            true,
        ),
    ] {
        let loaded = given.load(text).expect("a start");
        assert_eq!(loaded.config.artifactory_fallback, expected, "{text}");
        assert_eq!(loaded.warnings, [""; 0], "{text}");
    }
}

#[test]
fn limits_are_independent() {
    let given = Given::new().variable("WAIT", "90s");
    let repeated = |retry_after: &[u64], rollouts: Rollouts| Rollouts {
        retry_after: retry_after
            .iter()
            .copied()
            .map(Duration::from_secs)
            .collect(),
        ..rollouts
    };
    let rollouts = |max_concurrent, min_interval, settle| Rollouts {
        max_concurrent,
        min_interval: Duration::from_secs(min_interval),
        settle: Duration::from_secs(settle),
        retry_after: [600, 3600, 21_600].map(Duration::from_secs).into(),
    };
    let table = [
        ("{}", rollouts(None, 0, 0)),
        (
            "rollouts: { maxConcurrent: 0, minInterval: 0s, settle: 0h }",
            rollouts(None, 0, 0),
        ),
        (
            "rollouts: { maxConcurrent: 3, minInterval: 5m, settle: 10s }",
            rollouts(Some(3), 300, 10),
        ),
        (
            "rollouts: { maxConcurrent: '1', minInterval: 72h, settle: '${WAIT}' }",
            rollouts(Some(1), 72 * 60 * 60, 90),
        ),
        (
            "rollouts: { retryAfter: [1s, '${WAIT}', 24h] }",
            repeated(&[1, 90, 24 * 60 * 60], rollouts(None, 0, 0)),
        ),
        (
            "rollouts: { retryAfter: [] }",
            repeated(&[], rollouts(None, 0, 0)),
        ),
        ("rollouts: { retryAfter: }", rollouts(None, 0, 0)),
    ];
    for (text, expected) in table {
        assert_eq!(given.config(text).rollouts, expected, "{text}");
    }
}

#[test]
fn invalid_limits_are_problems() {
    check_problems(
        &Given::new(),
        &[
            (
                "rollouts: { maxConcurrent: few, minInterval: -5m, settle: 10 }",
                r#"
                rollouts.maxConcurrent (in DIR/config.yaml): found "few"; allowed: an integer, 0 for no limit
                rollouts.minInterval (in DIR/config.yaml): found "-5m"; allowed: an integer and s, m or h
                rollouts.settle (in DIR/config.yaml): found 10; allowed: an integer and s, m or h
                "#,
            ),
            (
                "rollouts: { maxConcurrent: -1, minInterval: s, settle: 1h30m }",
                r#"
                rollouts.maxConcurrent (in DIR/config.yaml): found -1; allowed: an integer, 0 for no limit
                rollouts.minInterval (in DIR/config.yaml): found "s"; allowed: an integer and s, m or h
                rollouts.settle (in DIR/config.yaml): found "1h30m"; allowed: an integer and s, m or h
                "#,
            ),
            (
                "rollouts: { minInterval: 99999999999s, settle: 1.5h }",
                r#"
                rollouts.minInterval (in DIR/config.yaml): found "99999999999s"; allowed: an integer and s, m or h
                rollouts.settle (in DIR/config.yaml): found "1.5h"; allowed: an integer and s, m or h
                "#,
            ),
            (
                "rollouts: { retryAfter: [0s, 10, 1h30m] }",
                r#"
                rollouts.retryAfter[0] (in DIR/config.yaml): found "0s"; allowed: an integer and s, m or h, from 1s
                rollouts.retryAfter[1] (in DIR/config.yaml): found 10; allowed: an integer and s, m or h, from 1s
                rollouts.retryAfter[2] (in DIR/config.yaml): found "1h30m"; allowed: an integer and s, m or h, from 1s
                "#,
            ),
            (
                "rollouts: { retryAfter: 10m }",
                r"
                rollouts.retryAfter (in DIR/config.yaml): found a string; allowed: a list
                ",
            ),
        ],
    );
}

#[test]
fn pinning_is_off_by_default() {
    let given = Given::new();
    assert!(!given.config("{}").pinning);
    assert!(given.config("pinning: { enabled: true }").pinning);
    check_problems(
        &given,
        &[
            (
                "pinning: { enabled: admission }",
                r#"pinning.enabled (in DIR/config.yaml): found "admission"; allowed: true or false"#,
            ),
            (
                "pinning: true",
                "pinning (in DIR/config.yaml): found a boolean; allowed: a mapping",
            ),
        ],
    );
}

#[test]
fn leader_election_is_off_by_default() {
    let given = Given::new();
    assert!(!given.config("{}").leader_election);
    assert!(
        given
            .config("leaderElection: { enabled: true }")
            .leader_election
    );
    check_problems(
        &given,
        &[(
            "leaderElection: { enabled: 1 }",
            "leaderElection.enabled (in DIR/config.yaml): found 1; allowed: true or false",
        )],
    );
}
