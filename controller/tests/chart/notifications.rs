//! What `notifications` comes to: where messages are sent.

use kube_autorollout_notifications::{Event, SinkType};
use serde_json::{Value, json};

use crate::{
    configuration::Rendered,
    helm::{Helm, VERSIONS, object},
};

const SINKS: &str = "
notifications:
  cluster: prod
  sinks:
    - { name: team, type: slack, urlSecret: { name: notify, key: team }, namespaces: ['team-*'], group: all }
    - { name: portal, type: webhook, url: 'http://portal.web.svc/hook', secret: { name: keys, key: portal }, events: [started, failed] }
    - { name: bus, type: cloudevents, urlFile: /etc/secrets/bus }
";

fn render(values: &str) -> Result<Vec<Value>, String> {
    Helm::new(VERSIONS[0]).render(values)
}

#[test]
fn sinks_reach_the_binary_with_their_secrets_as_files() {
    let rendered = Rendered::of(SINKS);
    rendered.is_read();
    let notifications = &rendered.configuration()["notifications"];
    let expected = json!({
        "cluster": "prod",
        "sinks": [
            {
                "name": "team",
                "type": "slack",
                "urlFile": "/etc/kube-autorollout/notifications/team/url",
                "namespaces": ["team-*"],
                "group": "all",
            },
            {
                "name": "portal",
                "type": "webhook",
                "url": "http://portal.web.svc/hook",
                "secretFile": "/etc/kube-autorollout/notifications/portal/secret",
                "events": ["started", "failed"],
            },
            { "name": "bus", "type": "cloudevents", "urlFile": "/etc/secrets/bus" },
        ],
    });
    assert_eq!(notifications, &expected);
    let objects = render(SINKS).expect("objects");
    let pod = &object(&objects, "Deployment", "web-kube-autorollout")["spec"]["template"]["spec"];
    let of_notifications = |list: &Value| {
        let mut list = list.as_array().expect("a list").iter();
        let found = list.find(|entry| entry["name"] == "notifications");
        found.expect("one of notifications").clone()
    };
    let file = |secret: &str, key: &str, path: &str| json!({ "secret": { "name": secret, "items": [{ "key": key, "path": path }] } });
    let expected = json!([
        file("notify", "team", "team/url"),
        file("keys", "portal", "portal/secret"),
    ]);
    assert_eq!(
        of_notifications(&pod["volumes"])["projected"]["sources"],
        expected
    );
    let mount = of_notifications(&pod["containers"][0]["volumeMounts"]);
    assert_eq!(mount["mountPath"], "/etc/kube-autorollout/notifications");
}

#[test]
fn without_sinks_nothing_is_about_notifications() {
    let objects = render("{ notifications: { cluster: prod } }").expect("objects");
    let text = json!(objects).to_string();
    assert!(!text.contains("notifications"), "{text}");
}

#[test]
fn what_the_controller_would_refuse_is_refused_when_it_is_installed() {
    let cases = [
        ("{ type: slack, url: a }", "sinks[0].name is missing"),
        ("{ name: a, url: a }", "sinks[0].type is missing"),
        (
            "{ name: a, type: slack }",
            "needs one of urlSecret (name and key of a Secret), urlFile and url, and has 0",
        ),
        ("{ name: a, type: slack, url: a, urlFile: b }", "and has 2"),
        (
            "{ name: a, type: teams, url: a, secretFile: b }",
            "only messages to sinks of type webhook and cloudevents are signed",
        ),
        (
            "{ name: a, type: webhook, url: a, secretFile: b, secret: { name: a, key: b } }",
            "has both secret and secretFile",
        ),
        (
            "{ name: a, type: slack, url: a }, { name: a, type: slack, url: b }",
            "sinks[1].name is a, as that of notifications.sinks[0]",
        ),
    ];
    for (sinks, message) in cases {
        let error = render(&format!("notifications: {{ sinks: [{sinks}] }}"));
        let error = error.expect_err(sinks);
        assert!(error.contains(message), "{sinks}: {error}");
    }
}

#[test]
fn the_schema_has_every_type_and_event() {
    for kind in SinkType::ALL {
        let sink = format!("{{ name: a, type: {}, url: a }}", kind.as_str());
        render(&format!("notifications: {{ sinks: [{sink}] }}")).expect("objects");
    }
    for event in Event::ALL {
        let sink = format!(
            "{{ name: a, type: slack, url: a, events: [{}] }}",
            event.as_str()
        );
        render(&format!("notifications: {{ sinks: [{sink}] }}")).expect("objects");
    }
    for wrong in [
        "type: mail",
        "type: slack, events: [rolled]",
        "type: slack, group: some",
    ] {
        let values = format!("notifications: {{ sinks: [{{ name: a, url: a, {wrong} }}] }}");
        render(&values).expect_err(wrong);
    }
}
