//! kubeconform, with schemas that are made of what the API server publishes about itself.

use std::{fs, path::Path, process::Command};

use kube::Client;
use kube_autorollout_testbed::programs::{Program, Programs};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where `OpenAPI` keeps what it refers to, and where JSON Schema does.
const THERE: &str = "#/components/schemas/";
const HERE: &str = "#/definitions/";

/// Schemas of kinds, a file each.
pub(crate) struct Schemas {
    folder: TempDir,
}

/// What kubeconform says of one object.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) message: String,
}

impl Schemas {
    /// Of every kind of some versions of API groups: `v1`, `apps/v1`.
    pub(crate) async fn of(
        client: &Client,
        versions: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for version in versions {
            let version = version.as_ref();
            let api = if version.contains('/') { "apis" } else { "api" };
            let path = format!("/openapi/v3/{api}/{version}");
            let request = http::Request::get(&path).body(Vec::new());
            let published = client.request::<Value>(request.expect("a request")).await;
            let mut published = published.unwrap_or_else(|error| panic!("{path}: {error}"));
            let mut definitions = published["components"]["schemas"].take();
            make_strict(&mut definitions);
            for (name, definition) in definitions.as_object().expect("schemas") {
                if let Some(kind) = kind_of(definition, version) {
                    let schema = json!({
                        "$schema": "http://json-schema.org/draft-07/schema#",
                        "$ref": format!("{HERE}{name}"),
                        "definitions": &definitions,
                    });
                    let file = folder.path().join(file_name(kind, version));
                    fs::write(file, schema.to_string()).expect("a file");
                }
            }
        }
        Self { folder }
    }

    /// What is said of each object of some files; of those of the `skipped` kinds, that they are.
    pub(crate) fn judge(&self, files: &Path, skipped: &[&str]) -> Vec<Verdict> {
        let kubeconform = Programs::tool(Program::Kubeconform, &|_| ()).expect("Go builds it");
        let location = "{{ .ResourceKind }}{{ .KindSuffix }}.json";
        let output = Command::new(kubeconform)
            .args(["-strict", "-verbose", "-output", "json"])
            .args(["-skip", &skipped.join(",")])
            .arg("-schema-location")
            .arg(self.folder.path().join(location))
            .arg(files)
            .output()
            .expect("it runs");
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let text = |object: &Value, key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let verdict = |object: &Value| Verdict {
            kind: text(object, "kind"),
            status: text(object, "status"),
            message: format!("{}: {}", text(object, "filename"), text(object, "msg")),
        };
        let resources = said["resources"].as_array().into_iter().flatten();
        resources.map(verdict).collect()
    }
}

/// The kind of this version of a group that a definition is of.
fn kind_of<'d>(definition: &'d Value, version: &str) -> Option<&'d str> {
    let kinds = definition["x-kubernetes-group-version-kind"].as_array()?;
    let [kind] = &**kinds else {
        return None; // options of requests, which every group has
    };
    let found = match kind["group"].as_str()? {
        "" => kind["version"].as_str()?.to_owned(),
        group => format!("{group}/{}", kind["version"].as_str()?),
    };
    (found == version).then(|| kind["kind"].as_str()).flatten()
}

/// As kubeconform makes it of `{{ .ResourceKind }}{{ .KindSuffix }}`.
fn file_name(kind: &str, version: &str) -> String {
    let suffix = match version.split_once('/') {
        Some((group, version)) => {
            format!("{}-{version}", group.split('.').next().unwrap_or_default())
        }
        None => version.to_owned(),
    };
    format!("{}-{suffix}.json", kind.to_lowercase())
}

/// Objects with fields have no others, and references lead to where the definitions are here.
fn make_strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let has_fields = fields.get("properties").is_some_and(Value::is_object);
            if has_fields && fields.get("type") == Some(&json!("object")) {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            if let Some(Value::String(reference)) = fields.get_mut("$ref") {
                *reference = reference.replace(THERE, HERE);
            }
            fields.values_mut().for_each(make_strict);
        }
        Value::Array(list) => list.iter_mut().for_each(make_strict),
        _ => {}
    }
}
