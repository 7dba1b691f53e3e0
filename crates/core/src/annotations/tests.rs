use super::*;

type Annotations = &'static [(&'static str, &'static str)];

fn template() -> Vec<TemplateContainer<'static>> {
    let container = |name, kind| TemplateContainer { name, kind };
    vec![
        container("migrate", ContainerKind::Init),
        container("proxy", ContainerKind::Sidecar),
        container("web", ContainerKind::Regular),
    ]
}

fn parse(annotations: &[(&str, &str)]) -> Result<Settings, InvalidAnnotation> {
    let annotations = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Settings::parse(&annotations.collect(), &template(), &TimeZone::UTC)
}

fn selected(annotation: &str, list: &str) -> Vec<String> {
    let settings = parse(&[(annotation, list)]).unwrap_or_else(|error| panic!("{list}: {error}"));
    settings.selected.into_iter().collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a test's own time")
}

#[test]
fn without_annotations_all_lasting_containers_are_checked_by_the_common_schedule() {
    let expected = Settings {
        selected: ["proxy", "web"].map(str::to_owned).into(),
        schedule: None,
        hold: None,
    };
    assert_eq!(parse(&[]), Ok(expected.clone()));
    assert_eq!(
        parse(&[(ENABLED, "true"), ("kube-autorollout/other", "x")]),
        Ok(expected)
    );
}

#[test]
fn containers_are_chosen_or_left_out_by_name() {
    assert_eq!(selected(CONTAINERS, "web"), ["web"]);
    assert_eq!(
        selected(CONTAINERS, " web , migrate,web,"),
        ["migrate", "web"]
    );
    assert_eq!(selected(EXCLUDE_CONTAINERS, "proxy"), ["web"]);
    assert_eq!(selected(EXCLUDE_CONTAINERS, "migrate"), ["proxy", "web"]);
    assert_eq!(selected(EXCLUDE_CONTAINERS, ""), ["proxy", "web"]);
}

#[test]
fn a_workload_may_have_its_own_schedule() {
    let interval = parse(&[(INTERVAL, "5m")]).map(|settings| settings.schedule);
    assert_eq!(interval, Ok(Schedule::parse_interval("5m").ok()));
    let schedule = parse(&[(SCHEDULE, "@hourly")]).map(|settings| settings.schedule);
    assert_eq!(
        schedule,
        Ok(Schedule::parse_cron("@hourly", &TimeZone::UTC).ok())
    );
}

#[test]
fn a_hold_ends_at_its_instant() {
    let noon = at("2026-01-31T12:00:00Z");
    let cases = [
        ("true", true),
        (" true ", true),
        ("false", false),
        ("2026-01-31T12:00:00.001Z", true),
        ("2026-01-31T14:00:00+01:00", true),
        ("2026-01-31T13:00:00+01:00", false), // that instant itself
        ("2020-01-01T00:00:00Z", false),
    ];
    for (value, held) in cases {
        let settings = parse(&[(HOLD, value)]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(settings.is_held(noon), held, "{value}");
    }
    let settings = parse(&[(HOLD, "2026-01-31T12:00:00Z")]).map(|settings| settings.hold);
    assert_eq!(settings, Ok(Some(Hold::Until(noon))));
}

#[test]
fn errors_name_annotation_and_value() {
    let cases: [(Annotations, &[&str]); 12] = [
        (
            &[(CONTAINERS, "web"), (EXCLUDE_CONTAINERS, "proxy")],
            &[CONTAINERS, EXCLUDE_CONTAINERS],
        ),
        (
            &[(CONTAINERS, "web,wbe")],
            &[CONTAINERS, "\"wbe\"", "migrate, proxy, web"],
        ),
        (
            &[(EXCLUDE_CONTAINERS, "Web")],
            &[EXCLUDE_CONTAINERS, "\"Web\"", "migrate, proxy, web"],
        ),
        (
            &[(CONTAINERS, " , ")],
            &[CONTAINERS, "\" , \"", "no container to check"],
        ),
        (
            &[(EXCLUDE_CONTAINERS, "web,proxy")],
            &[EXCLUDE_CONTAINERS, "\"web,proxy\"", "no container to check"],
        ),
        (
            &[(INTERVAL, "5m"), (SCHEDULE, "@hourly")],
            &[INTERVAL, SCHEDULE],
        ),
        (&[(INTERVAL, "5x")], &[INTERVAL, "\"5x\"", "45s"]),
        (&[(INTERVAL, "25h")], &[INTERVAL, "\"25h\"", "1s to 24h"]),
        (
            &[(SCHEDULE, "0 0 30 2 *")],
            &[SCHEDULE, "\"0 0 30 2 *\"", "never"],
        ),
        (
            &[(HOLD, "yes")],
            &[HOLD, "\"yes\"", "true, false or an instant"],
        ),
        (
            &[(HOLD, "2026-01-31T12:00:00")],
            &[HOLD, "2026-01-31T12:00:00", "08:00:00Z"],
        ),
        (&[(HOLD, "")], &[HOLD, "\"\""]),
    ];
    for (annotations, words) in cases {
        let error = parse(annotations).expect_err("an error").to_string();
        for word in words {
            assert!(error.contains(word), "{error} lacks {word}");
        }
    }
}
