//! The body of our own.

use kube_autorollout_core::reference;
use kube_autorollout_hints::{Hint, Ignored, Malformed, Sender, Tags};

use crate::given::{fixture, hints, ignored, read, read_with};

#[test]
fn one_image_is_one_hint() {
    let read = read(Sender::Generic, &fixture("generic/image"));
    assert_eq!(read, Ok(hints([("ghcr.io/team/web", &["main"])])));
}

#[test]
fn images_are_completed_as_references_are_and_put_together_by_repository() {
    let read = read(Sender::Generic, &fixture("generic/images"));
    let expected = hints([
        ("docker.io/library/nginx", &["latest"]),
        ("docker.io/team/api", &["2"]),
        ("ghcr.io/team/web", &["main", "v1"]),
        ("localhost:5000/team/job", &["1"]),
    ]);
    assert_eq!(read, Ok(expected));
}

#[test]
fn a_digest_alone_is_a_hint_for_all_tags() {
    let parsed = read(Sender::Generic, &fixture("generic/digest")).expect("a hint");
    let expected = Hint {
        registry: "ghcr.io".to_owned(),
        repository: "team/web".to_owned(),
        tags: Tags::All,
    };
    assert_eq!(parsed.hints, [expected]);
    let both = br#"{"images": ["ghcr.io/team/web:main", "ghcr.io/team/web@sha256:3da1996a8115d7616457760d9920b815241d0a03b34cf5f04e9a0e9d8de37498", "ghcr.io/team/web:v1"]}"#;
    assert_eq!(read(Sender::Generic, both), Ok(parsed));
}

#[test]
fn a_hint_concerns_images_of_its_repository_and_tag_that_are_not_pinned() {
    let digest = "sha256:3da1996a8115d7616457760d9920b815241d0a03b34cf5f04e9a0e9d8de37498";
    let parsed = read(Sender::Generic, &fixture("generic/image")).expect("a hint");
    let named = &parsed.hints[0];
    let all = Hint {
        tags: Tags::All,
        ..named.clone()
    };
    for (image, by_name, by_repository) in [
        ("ghcr.io/team/web:main", true, true),
        ("GHCR.io/team/web:main", true, true),
        ("ghcr.io/team/web:v1", false, true),
        ("ghcr.io/team/web", false, true),
        ("ghcr.io/team/webs:main", false, false),
        ("example.org/team/web:main", false, false),
        (&format!("ghcr.io/team/web:main@{digest}"), false, false),
        (&format!("ghcr.io/team/web@{digest}"), false, false),
    ] {
        let reference = reference::parse(image).expect("a reference");
        assert_eq!(named.concerns(&reference), by_name, "{image}");
        assert_eq!(all.concerns(&reference), by_repository, "{image}");
    }
}

#[test]
fn json_that_curl_calls_a_form_is_read() {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let naming = kube_autorollout_hints::Naming::default();
    let read = |body| read_with(Sender::Generic, &naming, &headers, body);
    assert!(read(br#"{"image": "ghcr.io/team/web:main"}"#).is_ok());
    assert_eq!(read(b"image=ghcr.io/team/web:main"), Err(Malformed::Form));
}

#[test]
fn invalid_images_are_rejected() {
    let mistakes: [(&[u8], &str); 9] = [
        (b"{}", "the body has no image"),
        (br#"{"images": []}"#, "the body has no image"),
        (br#"{"image": null}"#, "the body has no image"),
        (br#"{"image": ""}"#, "it is empty"),
        (br#"{"image": "https://ghcr.io/team/web:main"}"#, "scheme"),
        (br#"{"image": "ghcr.io/Team/web:main"}"#, "lower-case"),
        (
            br#"{"imgae": "ghcr.io/team/web:main"}"#,
            "not what this type",
        ),
        (br#"{"image": 7}"#, "not what this type"),
        (br#"["ghcr.io/team/web:main"]"#, "not what this type"),
    ];
    for (body, message) in mistakes {
        let error = read(Sender::Generic, body).expect_err("a mistake");
        let text = String::from_utf8_lossy(body);
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert_eq!(error.status(), 400, "{text}");
    }
}

#[test]
fn signatures_are_no_images() {
    let tag = "sha256-3da1996a8115d7616457760d9920b815241d0a03b34cf5f04e9a0e9d8de37498.sig";
    let body = format!(r#"{{"image": "ghcr.io/team/web:{tag}"}}"#);
    let read = read(Sender::Generic, body.as_bytes());
    assert_eq!(read, Ok(ignored(Ignored::Signature)));
}

#[test]
fn a_tag_that_only_begins_like_a_signature_is_an_image() {
    for tag in ["sha256-abc", "sha256-", "sha256-abc.sig"] {
        let body = format!(r#"{{"image": "ghcr.io/team/web:{tag}"}}"#);
        let read = read(Sender::Generic, body.as_bytes());
        assert_eq!(read, Ok(hints([("ghcr.io/team/web", &[tag])])));
    }
}

#[test]
fn a_request_names_a_hundred_tags_and_no_more() {
    let body = |count: usize| {
        let images: Vec<_> = (0..count).map(|at| format!("a.b/web:{at}")).collect();
        serde_json::json!({ "images": images }).to_string()
    };
    let parsed = read(Sender::Generic, body(100).as_bytes()).expect("hints");
    let Tags::Named(tags) = &parsed.hints[0].tags else {
        panic!("{parsed:?}");
    };
    assert_eq!(tags.len(), 100);
    let error = read(Sender::Generic, body(101).as_bytes());
    assert_eq!(error, Err(Malformed::TooMany));
}
