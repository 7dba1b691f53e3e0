//! The documentation of the configuration has every key, with its default.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::registry::options::CONTROLLER_REQUESTS;

use super::{
    super::{
        model::{Model, Section},
        schema::{self, Holds},
    },
    Given,
};

const NONE: &str = "none";

/// The cells of each row of the page's table of keys: key and default.
fn rows() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once("\n## Every key\n").expect("the table");
    let (section, _) = section.split_once("\n## ").expect("an end");
    let rows = section.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let key = cells.next()?.trim_end_matches('`').to_owned();
        Some((key, cells.next()?.trim_matches('`').to_owned()))
    });
    rows.collect()
}

/// Every key that holds a value; a section is described by its keys.
fn keys() -> Vec<String> {
    let mut keys: Vec<_> = schema::keys::<Section<Model>>()
        .into_iter()
        .filter(|key| key.holds != Holds::Section)
        .map(|key| key.path)
        .collect();
    keys.sort();
    keys
}

#[test]
fn the_page_has_every_key_and_no_other() {
    assert_eq!(rows().into_keys().collect::<Vec<_>>(), keys());
}

#[test]
fn the_page_has_the_defaults_in_force() {
    let loaded = Given::new().load_without_file().expect("defaults");
    let entry = Given::new().config("registries: [{ hostnamePattern: a }]");
    let entry = &entry.registries[0];
    let requests = entry.max_concurrent_requests;
    let requests = requests.unwrap_or(CONTROLLER_REQUESTS);
    let of_entry = BTreeMap::from([
        ("plainHttp", json!(entry.plain_http)),
        ("maxConcurrentRequests", json!(requests)),
        (
            "caCertificatePaths",
            json!(entry.ca_certificates.iter().map(|_| ()).collect::<Vec<_>>()),
        ),
    ]);
    for (key, documented) in rows() {
        let default = if let Some(key) = key.strip_prefix("registries[].") {
            of_entry.get(key).cloned()
        } else {
            let pointer = format!("/{}", key.replace('.', "/"));
            loaded.effective.pointer(&pointer).cloned()
        };
        let default = default
            .as_ref()
            .map_or_else(|| NONE.to_owned(), Value::to_string);
        assert_eq!(documented, default, "{key}");
    }
}
