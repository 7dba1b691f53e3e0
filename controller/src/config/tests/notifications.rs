//! Sinks of notifications.

use kube_autorollout_notifications::{Event, Group, SinkType, Target};

use super::Given;

const URL: &str = "https://hooks.slack.com/services/planted";

#[test]
fn a_sink_is_read_with_all_its_keys() {
    let given = Given::new().file("url", URL).file("key", "a key");
    let text = "notifications: { cluster: prod, sinks: [{ name: team, type: webhook, urlFile: DIR/url, secretFile: DIR/key, \
                events: [started, pinnedDigestGone], namespaces: ['team-*'], group: all }, \
                { name: slack, type: slack, url: 'https://hooks.slack.com/services/planted', secretFile: '' }] }";
    let notifications = given.config(text).notifications;
    assert_eq!(notifications.cluster, "prod");
    let [team, slack] = &*notifications.sinks else {
        panic!("two sinks");
    };
    let settings = team.settings();
    assert_eq!(settings.kind, SinkType::Webhook);
    assert_eq!(settings.events, [Event::Started, Event::PinnedDigestGone]);
    assert_eq!(settings.group, Some(Group::All));
    assert_eq!(settings.namespaces, ["team-*"]);
    let settings = slack.settings();
    assert_eq!(settings.url.as_ref().map(Target::expose), Some(URL));
    assert_eq!((settings.group, &settings.secret_file), (None, &None));
}

#[test]
fn the_url_is_a_secret() {
    let given = Given::new();
    let text = format!("notifications: {{ sinks: [{{ name: a, type: slack, url: '{URL}' }}] }}");
    let loaded = given.load(&text).expect("no problems");
    let shown = format!("{:?} {}", loaded.config, loaded.effective);
    assert!(!shown.contains("planted"), "{shown}");
}

/// Checks sinks, each with a problem of one key.
fn check(given: &Given, cases: &[(&str, &str, &str)]) {
    for (text, key, message) in cases {
        let problems = given.problems(&format!("notifications: {{ sinks: [{{ {text} }}] }}"));
        let place = format!("notifications.sinks[0].{key} (in DIR/config.yaml): ");
        assert_eq!(problems, [place + message], "{text}");
    }
}

#[test]
fn a_sink_needs_a_name_a_type_and_a_url() {
    let given = Given::new().file("url", "no url: planted");
    let cases = [
        (
            "type: slack, url: 'https://receiver/planted'",
            "name",
            "required; allowed: a name for the log and metrics",
        ),
        (
            "name: a, url: 'https://receiver/planted'",
            "type",
            "required; allowed: webhook, cloudevents, slack or teams",
        ),
        (
            "name: a, type: slak, url: 'https://receiver/planted'",
            "type",
            "found \"slak\", most like slack; allowed: webhook, cloudevents, slack or teams",
        ),
        (
            "name: a, type: slack",
            "urlFile",
            "required, or url; the file has the URL that messages are sent to",
        ),
        (
            "name: a, type: slack, url: 'http://receiver.example.org/planted'",
            "url",
            "found an http URL of a host outside the cluster, where everybody on the way could read it; use https; allowed: an \
             https URL, or an http URL of a host in the cluster",
        ),
        (
            "name: a, type: slack, urlFile: DIR/none",
            "urlFile",
            "the file DIR/none cannot be read: No such file or directory (os error 2)",
        ),
        (
            "name: a, type: slack, urlFile: DIR/url",
            "urlFile",
            "the file DIR/url has no http or https URL; allowed: an https URL, or an http URL of a host in the cluster",
        ),
    ];
    check(&given, &cases);
    let both = "notifications: { sinks: [{ name: a, type: slack, urlFile: DIR/url, url: 'https://receiver/planted' }] }";
    let both = given.problems(both);
    assert!(
        both[0].contains("cannot be set together with urlFile"),
        "{both:?}"
    );
}

#[test]
fn every_other_problem_of_a_sink_is_reported_at_its_key() {
    let given = Given::new().file("key", "\n");
    let cases = [
        (
            "name: a, type: webhook, url: 'https://receiver/planted', secretFile: DIR/key",
            "secretFile",
            "the file DIR/key is empty; allowed: a key",
        ),
        (
            "name: a, type: slack, url: 'https://receiver/planted', events: [rolled]",
            "events[0]",
            "found \"rolled\", most like rolledOut; allowed: started, rolledOut, notConverging, failed, heldBack, recovered, \
             credentialRefused or pinnedDigestGone",
        ),
        (
            "name: a, type: slack, url: 'https://receiver/planted', namespaces: ['[']",
            "namespaces",
            "found \"[\": invalid range pattern at position 0; allowed: globs over names of namespaces such as team-*",
        ),
        (
            "name: a, type: slack, url: 'https://receiver/planted', group: images",
            "group",
            "found \"images\"; allowed: none, image or all",
        ),
        (
            "name: a, type: slack, urlfil: a, url: 'https://receiver/planted'",
            "urlfil",
            "unknown key; the nearest known key is urlFile",
        ),
    ];
    check(&given, &cases);
}
