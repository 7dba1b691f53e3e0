//! Environment variables and the order of the layers.

use jiff::tz::TimeZone;
use kube_autorollout_core::schedule::Schedule;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{Given, lines};
use crate::config::Namespaces;

#[test]
fn variables_override_the_file_key_by_key() {
    let config = Given::new()
        .variable("KUBE_AUTOROLLOUT_WEBSERVER__PORT", "9090")
        .variable(
            "KUBE_AUTOROLLOUT_FEATUREFLAGS__ENABLEKUBECTLANNOTATION",
            "true",
        )
        .variable("KUBE_AUTOROLLOUT_TIMEZONE", "Asia/Tokyo")
        .config("{webserver: {port: 1}, watch: {namespaces: [kept]}, timeZone: UTC}");
    assert_eq!(config.port.get(), 9090);
    assert!(config.kubectl_annotation);
    assert_eq!(
        config.zone,
        TimeZone::get("Asia/Tokyo").expect("a known zone")
    );
    assert_eq!(
        config.namespaces,
        Namespaces::Listed(vec!["kept".to_owned()])
    );
}

#[test]
fn levels_are_matched_ignoring_case_and_the_prefix_is_not() {
    let given = Given::new()
        .variable("KUBE_AUTOROLLOUT_webServer__PORT", "9090")
        .variable("kube_autorollout_logformat", "json");
    let loaded = given.load_without_file().expect("a start");
    assert_eq!(loaded.config.port.get(), 9090);
    assert_eq!(loaded.config.log_format, crate::config::LogFormat::Text);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn lists_are_yaml_in_flow_style_and_replace_those_of_the_file() {
    let config = Given::new()
        .variable("KUBE_AUTOROLLOUT_WATCH__NAMESPACES", r#"["a","b"]"#)
        .variable("KUBE_AUTOROLLOUT_REGISTRIES", "[{hostnamePattern: ghcr.io, plainHttp: true}]")
        .variable("KUBE_AUTOROLLOUT_WEBSERVER", "{port: 9090}")
        .config("{watch: {namespaces: [c]}, registries: [{hostnamePattern: '*'}, {hostnamePattern: x}]}");
    assert_eq!(
        config.namespaces,
        Namespaces::Listed(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(config.registries.len(), 1);
    assert!(config.registries[0].plain_http);
    assert_eq!(config.port.get(), 9090);
}

#[test]
fn a_key_wins_over_the_section_that_has_it() {
    let config = Given::new()
        .variable("KUBE_AUTOROLLOUT_WEBSERVER__PORT", "2")
        .variable("KUBE_AUTOROLLOUT_webserver", "{port: 1}")
        .config("");
    assert_eq!(config.port.get(), 2);
}

#[test]
fn other_values_are_text_as_it_stands() {
    let given = Given::new().variable("KUBE_AUTOROLLOUT_CRONSCHEDULE", "*/10 * * * * *");
    let expected = Schedule::parse_cron("*/10 * * * * *", &TimeZone::UTC).expect("an expression");
    assert_eq!(given.config("").schedule, expected);
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = Given::new()
        .variable("KUBE_AUTOROLLOUT_WEBSERVER__PORT", "")
        .variable("RUST_LOG", "")
        .config("{webserver: {port: 81}, logLevel: debug}");
    assert_eq!(config.port.get(), 81);
    assert_eq!(
        config.log_level.targets(),
        &Targets::new().with_default(LevelFilter::DEBUG)
    );
}

#[test]
fn rust_log_wins_over_every_other_log_level() {
    let given = Given::new()
        .variable("KUBE_AUTOROLLOUT_LOGLEVEL", "error")
        .variable("RUST_LOG", "debug,hyper=warn");
    let expected = Targets::new()
        .with_default(LevelFilter::DEBUG)
        .with_target("hyper", LevelFilter::WARN);
    assert_eq!(
        given.config("logLevel: warn").log_level.targets(),
        &expected
    );

    let given = given.variable("RUST_LOG", "[span]=debug");
    assert_eq!(
        given.problems(""),
        [
            r#"logLevel (in RUST_LOG): found "[span]=debug"; allowed: trace, debug, info, warn, error or off, or a comma-separated list of target=level"#
        ]
    );
}

#[test]
fn the_higher_layer_chooses_between_interval_and_cron() {
    let interval = Schedule::parse_interval("30s").expect("an interval");
    let hourly = Schedule::parse_cron("@hourly", &TimeZone::UTC).expect("an expression");
    let by_interval = Given::new().variable("KUBE_AUTOROLLOUT_INTERVAL", "30s");
    assert_eq!(
        by_interval.config("cronSchedule: '@daily'").schedule,
        interval
    );
    let by_cron = Given::new().variable("KUBE_AUTOROLLOUT_CRONSCHEDULE", "@hourly");
    assert_eq!(by_cron.config("interval: 45s").schedule, hourly);
    assert_eq!(Given::new().config("interval: 30s").schedule, interval);
}

#[test]
fn interval_and_cron_in_the_environment_are_a_problem_as_in_the_file() {
    let given = Given::new()
        .variable("KUBE_AUTOROLLOUT_INTERVAL", "30s")
        .variable("KUBE_AUTOROLLOUT_CRONSCHEDULE", "@hourly");
    assert_eq!(
        given.problems("{interval: 5m, cronSchedule: '@daily'}"),
        [
            "interval (in DIR/config.yaml): cannot be set together with cronSchedule",
            "interval (in KUBE_AUTOROLLOUT_INTERVAL): cannot be set together with cronSchedule",
        ]
    );
}

#[test]
fn problems_name_the_variable_that_made_them() {
    let given = Given::new()
        .variable("KUBE_AUTOROLLOUT_WEBSERVER__PORT", "0")
        .variable("KUBE_AUTOROLLOUT_Webserver__Port", "1")
        .variable("KUBE_AUTOROLLOUT_WATCH__NAMESPACES", "a,b")
        .variable("KUBE_AUTOROLLOUT_PLATFORMS", "[linux/amd64")
        .variable(
            "KUBE_AUTOROLLOUT_ROLLOUTS",
            "{settle: 0s, settle: 0s, setle: 1}",
        )
        .variable("KUBE_AUTOROLLOUT_TIMEZONE", "${ZONE}");
    let message = given.load_without_file().expect_err("problems");
    assert_eq!(
        lines(&message),
        [
            "platforms (in KUBE_AUTOROLLOUT_PLATFORMS): not valid YAML: unclosed bracket '[' at line 1, column 1",
            "rollouts.setle (in KUBE_AUTOROLLOUT_ROLLOUTS): unknown key; the nearest known key is settle",
            "rollouts.settle (in KUBE_AUTOROLLOUT_ROLLOUTS): duplicate key (lines 1, 1)",
            "timeZone (in KUBE_AUTOROLLOUT_TIMEZONE): the environment variable ZONE is not set",
            "watch.namespaces (in KUBE_AUTOROLLOUT_WATCH__NAMESPACES): found a string; allowed: a list",
            "webserver.port (in KUBE_AUTOROLLOUT_WEBSERVER__PORT): found \"0\"; allowed: an integer from 1 to 65535",
            "webserver.port (in KUBE_AUTOROLLOUT_Webserver__Port): also set by KUBE_AUTOROLLOUT_WEBSERVER__PORT (variable names are not case-sensitive)",
        ]
    );
}

#[test]
fn a_variable_that_names_no_key_is_a_warning() {
    let table = [
        (
            "KUBE_AUTOROLLOUT_WEBSERVER_PORT",
            "KUBE_AUTOROLLOUT_WEBSERVER__PORT",
        ),
        ("KUBE_AUTOROLLOUT_LOG_LEVEL", "KUBE_AUTOROLLOUT_LOGLEVEL"),
        (
            "KUBE_AUTOROLLOUT_WEBSERVER__PORT__X",
            "KUBE_AUTOROLLOUT_WEBSERVER__PORT",
        ),
        (
            "KUBE_AUTOROLLOUT_REGISTRIES__PLAINHTTP",
            "KUBE_AUTOROLLOUT_REGISTRIES",
        ),
        ("KUBE_AUTOROLLOUT_PORT_X_Y", "KUBE_AUTOROLLOUT_PLATFORMS"),
    ];
    for (variable, nearest) in table {
        let given = Given::new().variable(variable, "not to be shown");
        let warnings = given.load_without_file().expect("a start").warnings;
        assert_eq!(
            warnings,
            [format!(
                "unknown environment variable {variable}; the nearest known variable is {nearest}"
            )]
        );
    }
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_are_ignored() {
    let names = [
        "KUBE_AUTOROLLOUT_SERVICE_HOST",
        "KUBE_AUTOROLLOUT_SERVICE_PORT",
        "KUBE_AUTOROLLOUT_SERVICE_PORT_HTTP",
        "KUBE_AUTOROLLOUT_PORT",
        "KUBE_AUTOROLLOUT_PORT_8080_TCP",
        "KUBE_AUTOROLLOUT_PORT_8080_TCP_PROTO",
        "KUBE_AUTOROLLOUT_PORT_8080_TCP_ADDR",
    ];
    let given = names.into_iter().fold(Given::new(), |given, name| {
        given.variable(name, "tcp://10.0.0.1:8080")
    });
    let loaded = given.load_without_file().expect("a start");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}
