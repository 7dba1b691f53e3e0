//! As much of JSON Schema as the fixtures have (<https://json-schema.org/draft-07>): a validator would be a large dependency.

use std::path::Path;

use serde_json::Value;

/// A schema in the folder of fixtures.
pub(crate) struct Schema(Value);

impl Schema {
    pub(crate) fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures");
        let text = std::fs::read(folder.join(name)).expect("a fixture");
        Self(serde_json::from_slice(&text).expect("JSON"))
    }

    /// What the schema does not allow in a value, each with its place.
    pub(crate) fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.0, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        let mut fault = |what: String| faults.push(format!("{place}: {what}"));
        for (keyword, limit) in schema.as_object().expect("a schema") {
            match keyword.as_str() {
                "$ref" => {
                    let pointer = limit.as_str().expect("a reference");
                    let target = self.0.pointer(&pointer[1..]).expect(pointer);
                    self.check(target, value, place, faults);
                    return;
                }
                "type" if !is_of(limit, value) => fault(format!("{value} is no {limit}")),
                "const" if limit != value => fault(format!("{value} is not {limit}")),
                "enum" if !limit.as_array().expect("a list").contains(value) => {
                    fault(format!("{value} is none of {limit}"));
                }
                "minLength" | "maxLength" | "minItems" | "maxItems" => {
                    let limit = limit.as_u64().expect("a number");
                    if !has_length(keyword, limit, value) {
                        fault(format!("{value}: {keyword} {limit}"));
                    }
                }
                "format" | "pattern" if !is_formed(limit, value) => {
                    fault(format!("{value} is no {limit}"));
                }
                "required" => {
                    for name in limit.as_array().expect("a list") {
                        if value.get(name.as_str().expect("a name")).is_none() {
                            fault(format!("{name} is missing"));
                        }
                    }
                }
                _ => {}
            }
        }
        self.inside(schema, value, place, faults);
    }

    fn inside(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.check(items, value, &format!("{place}[{index}]"), faults);
            }
        }
        if let (Some(properties), Some(values)) = (schema.get("properties"), value.as_object()) {
            for (name, value) in values {
                let place = format!("{place}.{name}");
                match (properties.get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) => self.check(schema, value, &place, faults),
                    (None, Some(Value::Bool(false))) => faults.push(format!("{place}: unknown")),
                    (None, _) => {}
                }
            }
        }
        if let Some(all) = schema.get("oneOf") {
            let count = all.as_array().expect("a list").iter().filter(|schema| {
                let mut faults = Vec::new();
                self.check(schema, value, place, &mut faults);
                faults.is_empty()
            });
            let count = count.count();
            if count != 1 {
                faults.push(format!("{place}: {value} is {count} of {all}"));
            }
        }
    }
}

/// Whether a text or a list is as long as the keyword limits it.
fn has_length(keyword: &str, limit: u64, value: &Value) -> bool {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        _ => return true,
    };
    let length = length as u64;
    if keyword.starts_with("min") {
        length >= limit
    } else {
        length <= limit
    }
}

/// Whether a text has a format, or begins as a pattern wants it.
fn is_formed(limit: &Value, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    match limit.as_str().expect("a text") {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "uri" | "uri-reference" => text.parse::<http::Uri>().is_ok(),
        pattern => text.starts_with(
            pattern
                .strip_prefix('^')
                .expect("only prefixes are checked"),
        ),
    }
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64(),
        Some("null") => value.is_null(),
        other => panic!("{other:?} is no type"),
    };
    types
        .as_array()
        .map_or_else(|| is(types), |types| types.iter().any(is))
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let schema = Schema::read("cloudevents.json");
    let good = serde_json::json!({
        "specversion": "1.0", "id": "1", "source": "/a", "type": "t", "time": "2026-01-01T00:00:00Z",
    });
    assert_eq!(schema.faults(&good), Vec::<String>::new());
    for (key, value) in [
        ("id", serde_json::json!("")),
        ("source", serde_json::json!("a b")),
        ("time", serde_json::json!("now")),
        ("type", Value::Null),
        ("subject", serde_json::json!("")),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert_eq!(schema.faults(&bad).len(), 1, "{key}");
    }
    let mut missing = good;
    missing.as_object_mut().expect("an object").remove("id");
    assert_eq!(schema.faults(&missing).len(), 1);
}
