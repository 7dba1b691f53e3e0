use super::*;

/// The digests that a manifest or index lists under `key`, in order.
fn listed(document: &[u8], key: &str) -> Vec<String> {
    let document: Value = serde_json::from_slice(document).expect("JSON");
    let member = &document[key];
    let descriptors = member
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![member.clone()]);
    descriptors
        .iter()
        .map(|descriptor| descriptor["digest"].as_str().expect("a digest").to_owned())
        .collect()
}

#[test]
fn the_digest_is_that_of_the_content() {
    assert_eq!(
        digest_of(b"").as_ref(),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn only_what_a_config_holds_changes_the_config_digest() {
    let image = Image::new("v1");
    let same_config = [
        image.clone().zstd(),
        image.clone().docker(),
        image.clone().annotation("built", "again"),
    ];
    for twin in same_config {
        assert_eq!(twin.config_digest(), image.config_digest(), "{twin:?}");
        assert_ne!(twin.digest(), image.digest(), "{twin:?}");
    }
    let other_config = [
        Image::new("v2"),
        image.clone().platform("linux", "arm64"),
        image.clone().variant("v3"),
        image.clone().behaviour(Behaviour::Crashes),
        image.clone().download(Duration::from_secs(1)),
    ];
    for other in other_config {
        assert_ne!(other.config_digest(), image.config_digest(), "{other:?}");
    }
}

#[test]
fn a_manifest_refers_to_its_own_config_and_layer() {
    for image in [Image::new("v1"), Image::new("v1").zstd()] {
        let blobs: Vec<_> = image.blobs().iter().map(|blob| digest_of(blob)).collect();
        let manifest = image.manifest();
        assert_eq!(listed(&manifest, "config"), [blobs[0].to_string()]);
        assert_eq!(listed(&manifest, "layers"), [blobs[1].to_string()]);
    }
}

#[test]
fn an_index_refers_to_its_documents_in_the_order_of_their_upload() {
    let nested = ImageIndex::of([Image::new("v1").platform("linux", "arm64")]);
    let index = ImageIndex::of([
        Image::new("v1"),
        Image::new("v1").platform("linux", "s390x"),
    ])
    .with_zstd_twins()
    .attested("build 1")
    .nested(nested.clone());
    let uploads: Vec<_> = index
        .children()
        .iter()
        .map(|document| digest_of(&document.body).to_string())
        .collect();
    let own: Vec<_> = uploads
        .iter()
        .filter(|digest| **digest != listed(&nested.manifest(), "manifests")[0])
        .cloned()
        .collect();
    assert_eq!(own, listed(&index.manifest(), "manifests"));
    assert_eq!(own.len(), 2 + 2 + 4 + 1);
}

#[test]
fn attestations_change_the_index_and_no_image() {
    let image = Image::new("v1");
    let plain = ImageIndex::of([image.clone()]);
    let first = plain.clone().attested("build 1");
    let second = plain.clone().attested("build 2");
    assert_ne!(first.digest(), second.digest());
    assert_ne!(first.digest(), plain.digest());
    let expected = image.digest().to_string();
    for index in [&plain, &first, &second] {
        assert_eq!(listed(&index.manifest(), "manifests")[0], expected);
    }
}

#[test]
fn media_types_are_of_one_family() {
    let docker = ImageIndex::of([Image::new("v1").docker()]).docker();
    let text = String::from_utf8(docker.manifest()).expect("text");
    assert!(!text.contains("vnd.oci."), "{text}");
    let oci = ImageIndex::of([Image::new("v1")]).attested("build 1");
    let text = String::from_utf8(oci.manifest()).expect("text");
    assert!(
        !text.contains("vnd.docker.distribution") && !text.contains("vnd.docker.container"),
        "{text}"
    );
}
