//! What holds of every payload.

use kube_autorollout_core::reference;
use kube_autorollout_hints::{Sender, Tags};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::given::{PUSHES, fixture, read};

fn any_sender() -> impl Strategy<Value = (Sender, &'static str)> {
    proptest::sample::select(PUSHES.to_vec())
}

/// Values of every type, some of them like those of payloads.
fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        "\\PC{0,20}".prop_map(|text| json!(text)),
        "[a-z0-9.:/@-]{0,20}".prop_map(|text| json!(text)),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["main"])),
    ]
}

/// Every hint is of an image that can be asked for, and of nothing else.
fn holds(sender: Sender, body: &[u8]) -> Result<(), TestCaseError> {
    match read(sender, body) {
        Ok(parsed) => {
            for hint in &parsed.hints {
                let tags = match &hint.tags {
                    Tags::All => vec!["latest".to_owned()],
                    Tags::Named(tags) => tags.iter().cloned().collect(),
                };
                prop_assert!(!tags.is_empty());
                for tag in tags {
                    let image = format!("{}/{}:{tag}", hint.registry, hint.repository);
                    let reference = reference::parse(&image);
                    prop_assert!(reference.is_ok_and(|it| hint.concerns(&it)), "{}", image);
                }
            }
        }
        Err(error) => prop_assert!(error.to_string().len() < 300),
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused((sender, _) in any_sender(), body in any::<Vec<u8>>()) {
        holds(sender, &body)?;
    }

    #[test]
    fn a_payload_with_another_value_anywhere_is_read_or_refused(
        (sender, name) in any_sender(),
        at in any::<proptest::sample::Index>(),
        value in any_value(),
    ) {
        let mut payload: Value = serde_json::from_slice(&fixture(name)).expect("JSON");
        let mut paths = Vec::new();
        pointers(&payload, String::new(), &mut paths);
        let path: &String = at.get(&paths);
        *payload.pointer_mut(path).expect("a value") = value;
        holds(sender, payload.to_string().as_bytes())?;
    }

    #[test]
    fn the_digest_of_a_payload_changes_nothing((sender, name) in any_sender(), digit in 0_u8..16) {
        let text = String::from_utf8(fixture(name)).expect("text");
        let digests = ["3da1996a8115d761", "213bbc182920ab41"];
        let changed = digests.iter().fold(text.clone(), |text, begin| {
            text.replace(begin, &format!("{digit:x}").repeat(16))
        });
        prop_assert_eq!(read(sender, changed.as_bytes()), read(sender, text.as_bytes()));
    }
}

/// The paths of all values.
fn pointers(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, format!("{path}/{name}"), paths);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                pointers(value, format!("{path}/{at}"), paths);
            }
        }
        _ => {}
    }
    paths.push(path);
}
