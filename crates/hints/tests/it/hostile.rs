//! Payloads that no sender sends.

use http::StatusCode;
use kube_autorollout_hints::{MAX_BODY, Malformed, Sender};

use crate::given::{PUSHES, fixture, naming, read, read_with, usual_headers};

#[test]
fn a_body_that_was_cut_anywhere_is_refused() {
    for (sender, name) in PUSHES {
        let body = fixture(name);
        let body = body.trim_ascii_end();
        for length in 0..body.len() {
            let read = read(sender, &body[..length]);
            assert!(read.is_err(), "{name}, {length} bytes");
        }
        let cut = read(sender, &body[..body.len() - 1]);
        let error = cut.expect_err("a mistake");
        assert!(matches!(error, Malformed::Json { .. }), "{name}: {error:?}");
    }
}

#[test]
fn a_body_that_is_too_long_is_refused_unread() {
    for (sender, name) in PUSHES {
        let mut body = fixture(name);
        body.resize(MAX_BODY, b' ');
        assert!(read(sender, &body).is_ok(), "{name}");
        body.push(b' ');
        let error = read(sender, &body).expect_err("too long");
        assert_eq!(error, Malformed::TooLarge, "{name}");
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}

#[test]
fn invalid_json_is_rejected_with_its_position_and_never_repeated() {
    let secret = "hunter2";
    for sender in Sender::ALL {
        let deep = "[".repeat(100_000);
        for (body, status) in [
            (String::new(), 400),
            (secret.to_owned(), 400),
            (format!("{{\"{secret}\""), 400),
            (format!("{{\"a\": {secret}}}"), 400),
            (format!("\"{secret}\""), 400),
            (format!("\u{feff}{{\"{secret}\": 1}}"), 400),
            (deep, 400),
        ] {
            let error = read(sender, body.as_bytes()).expect_err("a mistake");
            let message = error.to_string();
            assert!(!message.contains(secret), "{sender:?}: {message}");
            assert!(message.len() < 300, "{message}");
            assert_eq!(error.status(), status, "{sender:?}: {message}");
        }
        assert!(read(sender, &[0xff; 100]).is_err());
    }
}

#[test]
fn values_of_the_wrong_type_are_refused_and_never_repeated() {
    let secret = "hunter2";
    for (sender, name) in PUSHES {
        let text = String::from_utf8(fixture(name)).expect("text");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for pointer in leaves(&value, String::new()) {
            for wrong in [
                serde_json::json!({ secret: secret }),
                serde_json::json!([[secret]]),
            ] {
                let mut changed = value.clone();
                *changed.pointer_mut(&pointer).expect("a leaf") = wrong;
                if let Err(error) = read(sender, changed.to_string().as_bytes()) {
                    let message = error.to_string();
                    assert!(!message.contains(secret), "{name}{pointer}: {message}");
                }
            }
        }
    }
}

/// The paths of all values that hold no others.
fn leaves(value: &serde_json::Value, path: String) -> Vec<String> {
    match value {
        serde_json::Value::Object(fields) if !fields.is_empty() => fields
            .iter()
            .flat_map(|(name, value)| leaves(value, format!("{path}/{}", name.replace('/', "~1"))))
            .collect(),
        serde_json::Value::Array(items) if !items.is_empty() => items
            .iter()
            .enumerate()
            .flat_map(|(at, value)| leaves(value, format!("{path}/{at}")))
            .collect(),
        _ => vec![path],
    }
}

#[test]
fn a_form_is_refused_with_advice_where_json_is_sent() {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    for (sender, _) in PUSHES {
        let mut all = usual_headers(sender).to_vec();
        all.retain(|(name, _)| *name != "Content-Type");
        all.extend(headers);
        let read = read_with(sender, &naming(sender), &all, b"a=b&c=d");
        let error = read.expect_err("a mistake");
        assert_eq!(
            error.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{sender:?}"
        );
        assert!(error.to_string().contains("application/json"), "{error}");
    }
}
