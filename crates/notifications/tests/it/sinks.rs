//! Settings of sinks.

use kube_autorollout_notifications::{Event, SinkType, sinks};

use crate::given::{notice, settings, sink};

#[test]
fn every_mistake_is_reported_at_its_key() {
    let mut nameless = settings(SinkType::Slack);
    nameless.name = "Team Slack".to_owned();
    let mut nowhere = settings(SinkType::Webhook);
    nowhere.url = None;
    let mut twice = settings(SinkType::Teams);
    twice.name = "twice".to_owned();
    twice.url_file = Some("/etc/notify/teams".into());
    twice.secret_file = Some("/etc/notify/key".into());
    twice.namespaces = vec!["team-*".to_owned(), "[".to_owned(), "a**".to_owned()];
    let same = settings(SinkType::Webhook);
    let problems = sinks(vec![nameless, nowhere, twice, same]).expect_err("mistakes");
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.sink, problem.key))
        .collect();
    let expected = [
        (0, "name"),
        (1, "urlFile"),
        (2, "url"),
        (2, "secretFile"),
        (2, "namespaces"),
        (2, "namespaces"),
        (3, "name"),
    ];
    assert_eq!(found, expected, "{problems:#?}");
}

#[test]
fn a_sink_accepts_its_events_of_its_namespaces() {
    let all = sink(settings(SinkType::Slack));
    for event in Event::ALL {
        let expected = Event::DEFAULT.contains(&event);
        assert_eq!(all.accepts(&notice(event, "web")), expected, "{event:?}");
    }
    let mut some = settings(SinkType::Slack);
    some.events = vec![Event::Started, Event::Failed];
    some.namespaces = vec!["team-*".to_owned(), "web".to_owned()];
    let some = sink(some);
    let takes = |event, namespace: &str| {
        let mut notice = notice(event, "web");
        notice.workload.namespace = namespace.to_owned();
        some.accepts(&notice)
    };
    assert!(takes(Event::Started, "web") && takes(Event::Failed, "team-a"));
    assert!(!takes(Event::RolledOut, "web") && !takes(Event::Started, "other"));
}

#[test]
fn settings_show_no_url() {
    let shown = format!("{:?}", sink(settings(SinkType::Slack)));
    assert!(!shown.contains("receiver"), "{shown}");
}

#[test]
fn each_event_has_one_word_that_is_read_back() {
    for event in Event::ALL {
        assert_eq!(event.as_str().parse(), Ok(event));
        let words: String = event
            .cloud_event_type()
            .trim_start_matches("io.kube-autorollout.")
            .split('-')
            .collect();
        assert_eq!(words, event.as_str().to_lowercase());
    }
    assert!("rolled".parse::<Event>().is_err());
}
