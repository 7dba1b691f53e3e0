//! What is no container image: charts, bills of materials and signatures, under a tag or beside images.

use serde_json::{Value, json};

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const HELM_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

const NO_IMAGE: Verdict = Verdict::CannotStart(Reason::UnsupportedMediaType);
const NO_PLATFORM: Verdict = Verdict::CannotStart(Reason::NoMatchingPlatform);

fn parsed(media_type: &str, body: &Value) -> ManifestLookup {
    let manifest = Manifest::parse(media_type, body.to_string().as_bytes());
    ManifestLookup::Manifest(Arc::new(manifest.expect("a test's own manifest")))
}

/// A manifest whose configuration is of this type.
fn of_config(media_type: &str, config: usize) -> ManifestLookup {
    let config = json!({ "mediaType": media_type, "digest": digest(config).to_string() });
    parsed(
        MANIFEST,
        &json!({ "schemaVersion": 2, "config": config, "layers": [] }),
    )
}

/// What Helm pushes up to version 3.19: no `artifactType`.
pub(super) fn chart(config: usize) -> ManifestLookup {
    of_config(HELM_CONFIG, config)
}

fn listed(number: usize, members: &Value) -> Value {
    let mut entry = json!({ "mediaType": MANIFEST, "digest": digest(number).to_string() });
    let object = entry.as_object_mut().expect("an object");
    object.extend(members.as_object().expect("members").clone());
    entry
}

fn on(number: usize, architecture: &str) -> Value {
    let platform = json!({ "os": "linux", "architecture": architecture });
    listed(number, &json!({ "platform": platform }))
}

fn anywhere(number: usize) -> Value {
    listed(number, &json!({}))
}

fn list(entries: &[Value]) -> ManifestLookup {
    parsed(INDEX, &json!({ "schemaVersion": 2, "manifests": entries }))
}

#[test]
fn an_index_whose_images_have_an_artifact_type_is_one_of_images() {
    for artifact_type in [
        IMAGE_CONFIG,
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.example.thing",
    ] {
        let platform = json!({ "os": "linux", "architecture": "amd64" });
        let entry = json!({ "artifactType": artifact_type, "platform": platform });
        let registry = Registry::new([
            (1, list(&[listed(10, &entry)])),
            (2, list(&[listed(11, &entry)])),
            (10, image(20)),
            (11, image(21)),
        ]);
        for platforms in [amd64(), Platforms::Every] {
            registry.assert(&repository(2), &platforms, Verdict::Stale, &[1, 2, 11, 10]);
            registry.assert(&repository(10), &platforms, CURRENT, &[1]);
        }
    }
}

#[test]
fn a_chart_under_the_tag_is_not_rolled_out() {
    let registry = Registry::new([(1, chart(30)), (2, image(20))]);
    for platforms in [amd64(), Platforms::Every] {
        registry.assert(&repository(2), &platforms, NO_IMAGE, &[1, 2]);
        registry.assert(&bare(20), &platforms, NO_IMAGE, &[1]);
    }
    let index = Registry::new([(1, chart(30)), (2, list(&[on(10, "amd64")]))]);
    index.assert(&repository(2), &amd64(), NO_IMAGE, &[1, 2]);
    let gone = Registry::new([(1, chart(30))]);
    gone.assert(&repository(2), &amd64(), NO_IMAGE, &[1, 2]);
}

#[test]
fn a_chart_beside_the_images_of_an_index_changes_nothing() {
    let registry = Registry::new([
        (1, list(&[on(10, "amd64"), anywhere(32)])),
        (2, list(&[on(10, "amd64"), anywhere(31)])),
        (10, image(20)),
        (31, chart(41)),
        (32, chart(42)),
    ]);
    registry.assert(&repository(2), &amd64(), INDEX_CHANGED_ONLY, &[1, 2]);
    let every = Platforms::Every;
    registry.assert(&repository(2), &every, INDEX_CHANGED_ONLY, &[1, 2, 32, 31]);
    registry.assert(&bare(20), &amd64(), CURRENT, &[1, 10]);
}

#[test]
fn a_chart_beside_the_images_does_not_hide_that_they_changed() {
    let registry = Registry::new([
        (1, list(&[anywhere(32), on(10, "amd64")])),
        (2, list(&[anywhere(31), on(11, "amd64")])),
        (10, image(20)),
        (11, image(21)),
        (31, chart(41)),
        (32, chart(42)),
    ]);
    for platforms in [amd64(), Platforms::Every] {
        assert_eq!(
            registry.compare(&repository(2), &platforms).0,
            Verdict::Stale
        );
    }
}

#[test]
fn an_image_without_a_platform_counts_where_no_other_matches() {
    let registry = Registry::new([
        (1, list(&[on(10, "arm64"), anywhere(12)])),
        (2, list(&[on(10, "arm64"), anywhere(11)])),
        (10, image(20)),
        (11, image(21)),
        (12, image(22)),
    ]);
    assert_eq!(registry.compare(&repository(2), &amd64()).0, Verdict::Stale);
    let arm = Platforms::Of(vec![Platform::new("linux", "arm64")]);
    registry.assert(&repository(2), &arm, INDEX_CHANGED_ONLY, &[1, 2]);
    let every = registry.compare(&repository(2), &Platforms::Every).0;
    assert_eq!(every, Verdict::Stale, "some node may take it");
}

#[test]
fn where_only_a_chart_is_left_nothing_could_start() {
    let registry = Registry::new([
        (1, list(&[on(10, "arm64"), anywhere(32)])),
        (2, list(&[on(11, "amd64"), anywhere(31)])),
        (11, image(21)),
        (31, chart(41)),
        (32, chart(42)),
    ]);
    assert_eq!(registry.compare(&repository(2), &amd64()).0, NO_PLATFORM);
    let alone = Registry::new([
        (1, list(&[anywhere(32)])),
        (2, list(&[on(11, "amd64")])),
        (32, chart(42)),
    ]);
    for platforms in [amd64(), Platforms::Every] {
        assert_eq!(alone.compare(&repository(2), &platforms).0, NO_IMAGE);
        assert_eq!(alone.compare(&bare(21), &platforms).0, NO_IMAGE);
    }
}

#[test]
fn a_running_artifact_shows_that_nodes_can_run_its_type() {
    let wasm = |config| of_config(WASM_CONFIG, config);
    let registry = Registry::new([(1, wasm(30)), (2, wasm(31)), (3, image(20)), (4, wasm(30))]);
    registry.assert(&repository(2), &amd64(), Verdict::Stale, &[1, 2]);
    registry.assert(&repository(4), &amd64(), SAME_CONFIG, &[1, 4]);
    registry.assert(&repository(3), &amd64(), NO_IMAGE, &[1, 3]);
}
