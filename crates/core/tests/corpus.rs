//! The inputs of the fuzz targets, the crashes of the past among them.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

#[path = "../../../fuzz/corpus.rs"]
mod corpus;
#[path = "../../../fuzz/properties/image_id.rs"]
mod image_id;
#[path = "../../../fuzz/properties/labels.rs"]
mod labels;
#[path = "../../../fuzz/properties/manifest.rs"]
mod manifest;
#[path = "../../../fuzz/properties/reference.rs"]
mod reference;

#[test]
fn image_ids_hold_their_properties() {
    corpus::replay("image_id", image_id::check);
}

#[test]
fn labels_hold_their_properties() {
    corpus::replay("labels", labels::check);
}

#[test]
fn manifests_hold_their_properties() {
    corpus::replay("manifest", manifest::check);
}

#[test]
fn references_hold_their_properties() {
    corpus::replay("reference", reference::check);
}
