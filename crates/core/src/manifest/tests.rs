use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The digest that a test calls by this number.
fn digest(number: usize) -> Digest {
    format!("sha256:{number:064x}")
        .parse()
        .expect("a test's own digest")
}

fn parse(media_type: &str, body: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(media_type, body.to_string().as_bytes())
}

fn index(entries: &[Value]) -> Index {
    match parse(OCI_INDEX, &json!({ "manifests": entries })) {
        Ok(Manifest::Index(index)) => index,
        other => panic!("{other:?}"),
    }
}

fn entry(number: usize, platform: &str) -> Value {
    let platform: Platform = platform.parse().expect("a test's own platform");
    json!({
        "mediaType": OCI_IMAGE,
        "digest": digest(number).to_string(),
        "size": 7,
        "platform": {
            "os": platform.os,
            "architecture": platform.architecture,
            "variant": platform.variant,
            "os.version": platform.os_version,
        },
    })
}

fn selected(index: &Index, platforms: &[&str]) -> Vec<Digest> {
    let parse = |text: &&str| text.parse().expect("a test's own platform");
    let platforms = Platforms::Of(platforms.iter().map(parse).collect());
    let selected = index.select(&platforms).into_iter();
    selected.map(|entry| entry.digest.clone()).collect()
}

#[test]
fn images_of_oci_and_docker_are_their_configuration() {
    for media_type in [
        OCI_IMAGE,
        DOCKER_IMAGE,
        "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
    ] {
        let config_type = "application/vnd.oci.image.config.v1+json";
        let config =
            json!({ "mediaType": config_type, "digest": digest(1).to_string(), "size": 7 });
        let body = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        let image = Image {
            config: digest(1),
            artifact: None,
        };
        assert_eq!(
            parse(media_type, &body).expect(media_type),
            Manifest::Image(image)
        );
    }
}

#[test]
fn an_artifact_is_no_image_that_runs() {
    let config = json!({ "digest": digest(1).to_string() });
    let body = json!({ "artifactType": "application/spdx+json", "config": config });
    let manifest = parse(OCI_IMAGE, &body).expect("a manifest");
    assert!(matches!(
        manifest,
        Manifest::Image(Image {
            artifact: Some(_),
            ..
        })
    ));
}

#[test]
fn an_index_keeps_only_entries_that_refer_to_images() {
    let attestation = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    let other_annotation = json!({ "org.opencontainers.image.created": "2026-01-01" });
    let hex = |number| digest(number).to_string();
    let entries = [
        json!({ "mediaType": OCI_IMAGE, "digest": hex(1), "platform": { "os": "unknown", "architecture": "unknown" } }),
        json!({ "mediaType": OCI_IMAGE, "digest": hex(2), "annotations": attestation }),
        json!({ "mediaType": OCI_IMAGE, "digest": hex(3), "artifactType": "application/spdx+json" }),
        json!({ "mediaType": "application/vnd.example.thing+json", "digest": hex(4) }),
        json!({ "mediaType": DOCKER_IMAGE, "digest": hex(5), "annotations": other_annotation }),
        json!({ "mediaType": OCI_INDEX, "digest": hex(6), "annotations": null, "platform": null }),
        json!({ "mediaType": OCI_IMAGE, "digest": hex(7), "platform": { "os": "", "architecture": "" } }),
        json!({ "mediaType": DOCKER_LIST, "digest": hex(8), "artifactType": "" }),
        json!({ "mediaType": OCI_IMAGE, "digest": hex(9), "artifactType": "application/vnd.oci.image.config.v1+json" }),
    ];
    let index = index(&entries);
    let kept: Vec<(Digest, bool)> = index
        .entries
        .iter()
        .map(|entry| (entry.digest.clone(), entry.nested))
        .collect();
    assert_eq!(
        kept,
        [
            (digest(5), false),
            (digest(6), true),
            (digest(7), false),
            (digest(8), true),
            (digest(9), false)
        ]
    );
    assert_eq!(index.platforms().count(), 0);
}

#[test]
fn the_platforms_of_an_index_keep_variant_and_version() {
    let platforms = [
        "linux/amd64",
        "linux/arm/v7",
        "windows/amd64:10.0.20348.2113",
    ];
    let entries: Vec<Value> = platforms
        .iter()
        .enumerate()
        .map(|(number, text)| entry(number, text))
        .collect();
    let offered: Vec<String> = index(&entries)
        .platforms()
        .map(Platform::to_string)
        .collect();
    assert_eq!(offered, platforms);
}

#[test]
fn an_empty_list_may_be_null_or_left_out() {
    for body in [
        json!({ "manifests": null }),
        json!({}),
        json!({ "manifests": [] }),
    ] {
        assert_eq!(
            parse(DOCKER_LIST, &body).expect("an index"),
            Manifest::Index(Index::default())
        );
    }
}

#[test]
fn the_first_of_equal_platforms_is_selected_and_all_of_different_ones_and_one_without_last() {
    let any = json!({ "mediaType": OCI_IMAGE, "digest": digest(9).to_string() });
    let with_twin = index(&[
        entry(1, "linux/arm64"),
        entry(2, "linux/amd64"),
        entry(3, "linux/amd64"),
    ]);
    let variants = index(&[
        entry(1, "linux/arm/v6"),
        entry(2, "linux/arm/v7"),
        entry(3, "linux/amd64"),
    ]);
    let twin_variants = index(&[
        entry(1, "linux/arm/v6"),
        entry(2, "linux/arm/v6"),
        entry(3, "linux/arm/v7"),
    ]);
    let older = index(&[entry(1, "linux/386"), entry(2, "linux/arm/v7")]);
    let another = json!({ "mediaType": OCI_IMAGE, "digest": digest(8).to_string() });
    let anywhere = index(&[any, entry(1, "linux/arm64"), another]);
    let cases = [
        (&with_twin, vec!["linux/amd64"], vec![2]),
        (&with_twin, vec!["linux/amd64", "linux/arm64"], vec![2, 1]),
        (&with_twin, vec!["windows/amd64"], vec![]),
        (&variants, vec!["linux/arm"], vec![1, 2]),
        (&variants, vec!["linux/arm/v7"], vec![2]),
        (&twin_variants, vec!["linux/arm"], vec![1, 3]),
        (&older, vec!["linux/amd64"], vec![1]),
        (&older, vec!["linux/arm64"], vec![2]),
        (&older, vec!["linux/s390x"], vec![]),
        (&anywhere, vec!["linux/amd64"], vec![9]),
        (&anywhere, vec!["linux/arm64"], vec![1]),
        (&anywhere, vec!["linux/arm64", "linux/s390x"], vec![1, 9]),
    ];
    for (index, platforms, expected) in cases {
        let expected: Vec<Digest> = expected.into_iter().map(digest).collect();
        assert_eq!(selected(index, &platforms), expected, "{platforms:?}");
    }
    for (index, expected) in [(&with_twin, vec![1, 2]), (&anywhere, vec![1, 9])] {
        for platforms in [Platforms::Every, Platforms::Unread] {
            let every = index.select(&platforms).into_iter();
            let every: Vec<Digest> = every.map(|entry| entry.digest.clone()).collect();
            let expected: Vec<Digest> = expected.iter().copied().map(digest).collect();
            assert_eq!(every, expected);
        }
    }
}

#[test]
fn other_bodies_are_errors() {
    let config = json!({ "digest": digest(1).to_string() });
    let cases = [
        ("text/html", json!({})),
        ("", json!({})),
        (OCI_IMAGE, json!({})),
        (OCI_IMAGE, json!([])),
        (OCI_IMAGE, json!({ "config": { "digest": "sha256:12" } })),
        (OCI_IMAGE, json!({ "config": config, "manifests": [] })),
        (
            OCI_IMAGE,
            json!({ "config": config, "mediaType": OCI_INDEX }),
        ),
        (OCI_INDEX, json!({ "manifests": [], "layers": [] })),
        (OCI_INDEX, json!({ "manifests": [{ "digest": "x" }] })),
    ];
    for (media_type, body) in cases {
        let error = parse(media_type, &body).expect_err(media_type);
        assert_eq!(
            error.reason(),
            Reason::UnsupportedMediaType,
            "{media_type}: {error}"
        );
    }
    for body in [
        "",
        "{",
        "\u{0}",
        "[[[[",
        r#"{"manifests":[],"manifests":[]}"#,
    ] {
        assert!(
            Manifest::parse(OCI_INDEX, body.as_bytes()).is_err(),
            "{body}"
        );
    }
}

#[test]
fn docker_schema_1_and_endless_indexes_have_reasons_of_their_own() {
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    ] {
        let error = parse(media_type, &json!({})).expect_err(media_type);
        assert_eq!(error.reason(), Reason::Schema1);
    }
    let mut entries = vec![entry(1, "linux/amd64"); MAX_ENTRIES];
    assert!(parse(OCI_INDEX, &json!({ "manifests": entries })).is_ok());
    entries.push(entry(1, "linux/amd64"));
    let error = parse(OCI_INDEX, &json!({ "manifests": entries })).expect_err("too many");
    assert_eq!(error.reason(), Reason::ManifestTooLarge);
}

#[test]
fn a_docker_type_may_call_itself_by_the_oci_name() {
    let body = json!({ "mediaType": OCI_INDEX, "manifests": [] });
    assert!(parse(DOCKER_LIST, &body).is_ok());
}

proptest! {
    #[test]
    fn no_body_makes_the_parser_panic(
        body in "(\\{|\\[|\\]|\\}|\"manifests\":|\"config\":|\"digest\":|\"sha256:|\"platform\":|null|,|\"|1|\\PC){0,30}",
        is_index: bool,
    ) {
        let media_type = if is_index { OCI_INDEX } else { OCI_IMAGE };
        if let Ok(Manifest::Index(index)) = Manifest::parse(media_type, body.as_bytes()) {
            prop_assert!(index.select(&Platforms::Every).len() <= index.entries.len());
        }
    }
}
