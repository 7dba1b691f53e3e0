//! `CloudEvents`: three senders, in the three modes of the HTTP binding.

use std::collections::BTreeMap;

use http::StatusCode;
use kube_autorollout_hints::{Ignored, Malformed, Naming, Parsed, Sender, handshake};
use serde_json::{Value, json};

use crate::given::{fixture, headers, hints, ignored, naming, read, read_with};

const STRUCTURED: [(&str, &str); 1] = [(
    "Content-Type",
    "application/cloudevents+json; charset=UTF-8",
)];

fn structured(body: &[u8]) -> Result<Parsed, Malformed> {
    let naming = naming(Sender::Cloudevents);
    read_with(Sender::Cloudevents, &naming, &STRUCTURED, body)
}

#[test]
fn zot_sends_in_binary_mode_and_names_no_host() {
    let expected = hints([("zot.example.org/team/web", &["main"])]);
    let body = fixture("cloudevents/zot");
    assert_eq!(read(Sender::Cloudevents, &body), Ok(expected));
    let by_digest = read(Sender::Cloudevents, &fixture("cloudevents/zot_by_digest"));
    assert_eq!(by_digest, Ok(ignored(Ignored::Untagged)));
    let headers = crate::given::usual_headers(Sender::Cloudevents);
    let unconfigured = read_with(Sender::Cloudevents, &Naming::default(), headers, &body);
    assert_eq!(unconfigured, Err(Malformed::NoHost));
}

#[test]
fn structured_mode_has_the_data_within_as_json_or_encoded() {
    for (name, image) in [
        ("cloudevents/harbor", "harbor.example.org/team/web"),
        ("cloudevents/event_grid", "example.azurecr.io/team/web"),
    ] {
        let naming = Naming::default();
        let body = fixture(name);
        let read = read_with(Sender::Cloudevents, &naming, &STRUCTURED, &body);
        assert_eq!(read, Ok(hints([(image, &["main"])])), "{name}");
    }
    let encoded = structured(&fixture("cloudevents/zot_base64"));
    assert_eq!(
        encoded,
        Ok(hints([("zot.example.org/team/web", &["main"])]))
    );
}

#[test]
fn harbor_and_event_grid_may_use_binary_mode_too() {
    for (name, kind) in [
        ("cloudevents/harbor", "harbor.artifact.pushed"),
        (
            "cloudevents/event_grid",
            "Microsoft.ContainerRegistry.ImagePushed",
        ),
    ] {
        let event: Value = serde_json::from_slice(&fixture(name)).expect("JSON");
        let headers = [("ce-specversion", "1.0"), ("ce-type", kind)];
        let body = event["data"].to_string();
        let read = read_with(
            Sender::Cloudevents,
            &Naming::default(),
            &headers,
            body.as_bytes(),
        );
        assert_eq!(read, structured_without_host(&fixture(name)), "{name}");
    }
}

fn structured_without_host(body: &[u8]) -> Result<Parsed, Malformed> {
    read_with(Sender::Cloudevents, &Naming::default(), &STRUCTURED, body)
}

#[test]
fn a_batch_holds_events_of_every_kind() {
    let headers = [("Content-Type", "application/cloudevents-batch+json")];
    let naming = naming(Sender::Cloudevents);
    let body = fixture("cloudevents/batch");
    let read = read_with(Sender::Cloudevents, &naming, &headers, &body);
    // The registry that is configured holds for all of them
    let expected = Parsed {
        ignored: BTreeMap::from([(Ignored::Event, 1)]),
        ..hints([("zot.example.org/team/web", &["main"])])
    };
    assert_eq!(read, Ok(expected));
    let empty = read_with(Sender::Cloudevents, &naming, &headers, b"[]");
    assert_eq!(empty, Ok(Parsed::default()));
}

#[test]
fn other_events_are_ignored_whatever_their_data_is() {
    for data in [json!(null), json!(7), json!({ "name": [] })] {
        let event =
            json!({ "specversion": "1.0", "type": "zotregistry.image.deleted", "data": data });
        let read = structured(event.to_string().as_bytes());
        assert_eq!(read, Ok(ignored(Ignored::Event)));
    }
    let headers = [("ce-specversion", "1.0"), ("ce-type", "com.example.other")];
    let read = read_with(
        Sender::Cloudevents,
        &Naming::default(),
        &headers,
        b"no JSON",
    );
    assert_eq!(read, Ok(ignored(Ignored::Event)));
}

#[test]
fn other_requests_are_rejected() {
    let body = fixture("cloudevents/zot");
    let naming = naming(Sender::Cloudevents);
    for headers in [
        &[("Content-Type", "application/json")][..],
        &[("ce-type", "zotregistry.image.updated")],
        &[
            ("ce-specversion", "0.3"),
            ("ce-type", "zotregistry.image.updated"),
        ],
    ] {
        let read = read_with(Sender::Cloudevents, &naming, headers, &body);
        let error = read.expect_err("a mistake");
        assert_eq!(error, Malformed::NotACloudEvent);
        assert_eq!(error.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    for body in [
        json!({ "specversion": "0.3", "type": "zotregistry.image.updated", "data": { "name": "a", "reference": "b" } }),
        json!({ "specversion": "1.0", "type": "harbor.artifact.pushed" }),
        json!({ "specversion": "1.0", "type": "harbor.artifact.pushed", "data_base64": "!" }),
        json!({ "specversion": "1.0", "type": "harbor.artifact.pushed", "data": [] }),
        json!({ "specversion": "1.0", "data": {} }),
        json!({}),
    ] {
        assert!(structured(body.to_string().as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_handshake_is_answered_with_the_origin_and_the_rate() {
    let asked = headers(&[
        ("WebHook-Request-Origin", "eventgrid.azure.net"),
        ("WebHook-Request-Rate", "120"),
    ]);
    let answer = handshake(&asked, 600).expect("an answer");
    assert_eq!(answer["webhook-allowed-origin"], "eventgrid.azure.net");
    assert_eq!(answer["webhook-allowed-rate"], "600");
    let without_rate = headers(&[("WebHook-Request-Origin", "eventgrid.azure.net")]);
    assert_eq!(handshake(&without_rate, 600).expect("an answer").len(), 1);
    assert_eq!(handshake(&headers(&[]), 600), None);
}
