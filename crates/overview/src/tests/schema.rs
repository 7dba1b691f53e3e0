//! The schema of `/status.json`, which is made from the types, and is the same as in the documentation.

use std::{borrow::Cow, fs};

use kube_autorollout_core::{
    labels::ImageLabels,
    state::{Reason, State},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};
use serde_json::Value;

use crate::{Json, Overview, View as _};

/// The words of [`State`].
pub(crate) struct States;

/// The words of [`Reason`].
pub(crate) struct Reasons;

/// An instant, as `jiff` writes it.
pub(crate) struct Instant;

impl JsonSchema for States {
    fn schema_name() -> Cow<'static, str> {
        "State".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": State::ALL })
    }
}

impl JsonSchema for Reasons {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Reason::ALL })
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/status.schema.json");

fn schema() -> Value {
    let mut schema = schema_for!(Overview<'_>).to_value();
    schema["$id"] =
        "https://github.com/juv/kube-autorollout/blob/main/docs/status.schema.json".into();
    schema["title"] = "/status.json of kube-autorollout".into();
    schema
}

#[test]
fn the_documented_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    let file = fs::read_to_string(FILE).unwrap_or_default();
    if schema != file {
        let made = std::env::temp_dir().join("status.schema.json");
        fs::write(&made, schema).expect("a file");
        panic!(
            "docs/status.schema.json is not that of the types: cp {} {FILE}",
            made.display()
        );
    }
}

/// The names of the fields that an object has, and those that its schema has.
fn fields(value: &Value, schema: &Value) -> (Vec<String>, Vec<String>) {
    let names = |value: &Value| {
        let mut names: Vec<_> = value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    };
    (names(value), names(&schema["properties"]))
}

#[test]
fn what_is_written_has_the_fields_of_the_schema() {
    let labels = ImageLabels {
        version: Some("1.4.3".into()),
        revision: Some("ab12".into()),
        source: Some("https://github.com/team/web".into()),
        created: Some("2026-01-01T00:00:00Z".into()),
    };
    let overview = Overview {
        shown: crate::Shown {
            namespace: Some("shop".into()),
            state: Some(State::Held),
            page: Some(1),
            ..crate::Shown::default()
        },
        ..Overview::default()
    };
    let mut out = Vec::new();
    let rows = [super::full("web", &labels)];
    Json::default()
        .write(&overview, rows, &mut out)
        .expect("it takes all");
    let written: Value = serde_json::from_slice(&out).expect("JSON");
    let schema = schema();
    let row = &written["workloads"][0];
    let container = &row["containers"][0];
    for (value, name) in [
        (&written["shown"], "Shown"),
        (row, "Row"),
        (container, "Container"),
        (&container["running"][1], "Image"),
    ] {
        let (written, documented) = fields(value, &schema["$defs"][name]);
        assert_eq!(written, documented, "{name}");
    }
    let (written, documented) = fields(&written, &schema);
    assert_eq!(written, documented);
}
