//! `kube-autorollout check` against real registries.

mod artifactory;
mod artifacts;
mod failures;
mod given;
mod many;
mod routes;

use kube_autorollout_testbed::{
    Testbed,
    image::{Content, Image, ImageIndex, Pusher},
    registry::{ALICE, Access, Registry},
    shared,
};
use serde_json::{Value, json};

use given::Given;

async fn start(testbed: &Testbed, access: Access) -> Registry {
    let registry = Registry::start(testbed.programs(), access).await;
    registry.expect("a registry")
}

async fn push(registry: &Registry, content: &(impl Content + Sync), repository: &str) -> String {
    let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
    let digest = pusher.push(content, repository, "latest").await;
    digest.expect("pushed");
    format!("{}/{repository}:latest", registry.host())
}

/// The report for an image that resolved.
fn resolved(image: &str, content: &dyn Content, platforms: &Value, authentication: &str) -> Value {
    let root = content.root();
    json!({
        "image": image,
        "digest": content.root_digest().to_string(),
        "mediaType": root.media_type,
        "platforms": platforms,
        "authentication": authentication,
        "identity": null,
        "rateLimit": null,
    })
}

/// The words under a key of each image's error, empty for those that resolved.
fn errors<'a>(list: &'a [Value], key: &str) -> Vec<&'a str> {
    let words = list.iter().map(|object| &object["error"][key]);
    words
        .map(|word| word.as_str().unwrap_or_default())
        .collect()
}

/// An index for two platforms, with an attestation.
fn index(marker: &str) -> ImageIndex {
    let image = |architecture| Image::new(marker).platform("linux", architecture);
    ImageIndex::of([image("amd64"), image("arm64")]).attested(marker)
}

#[tokio::test]
async fn images_of_plain_password_and_token_registries_resolve_in_the_order_given() {
    let testbed = shared().await;
    let (passwords, tokens) = tokio::join!(
        start(testbed, Access::Htpasswd),
        start(testbed, Access::Token)
    );
    let (single, index) = (Image::new("check-single"), index("check-index"));
    let images = [
        push(&tokens, &single, "team/app").await,
        push(testbed.registry(), &index, "check-resolves").await,
        push(&passwords, &index, "app").await,
    ];
    let given = Given::trusting(testbed, &[&passwords, &tokens]);
    let docker_config = given.docker_config(&[&passwords, &tokens]);
    let mut arguments = vec!["--docker-config", docker_config.as_str()];
    arguments.extend(images.iter().map(String::as_str));
    let (code, list) = given.check_json(&arguments).await;
    let platforms = json!(["linux/amd64", "linux/arm64"]);
    let expected = [
        resolved(&images[0], &single, &Value::Null, "bearer"),
        resolved(&images[1], &index, &platforms, "anonymous"),
        resolved(&images[2], &index, &platforms, "basic"),
    ];
    assert_eq!(list, expected);
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn people_get_a_paragraph_for_each_image() {
    let testbed = shared().await;
    let tokens = start(testbed, Access::Token).await;
    let (single, index) = (Image::new("check-people"), index("check-people-index"));
    let public = push(&tokens, &single, "public/app").await;
    let plain = push(testbed.registry(), &index, "check-people").await;
    let given = Given::trusting(testbed, &[&tokens]);
    let checked = given.check(&[&public, &plain]).await;
    let expected = format!(
        "\
{public}
  digest          {}
  media type      {}
  authentication  anonymous

{plain}
  digest          {}
  media type      {}
  platforms       linux/amd64, linux/arm64
  authentication  anonymous
",
        single.digest(),
        single.media_type(),
        index.digest(),
        index.media_type(),
    );
    assert_eq!(checked.output, expected);
    assert_eq!(checked.error, "", "no terminal, no progress");
    assert_eq!(checked.code, Some(0));
}

#[tokio::test]
async fn bad_usage_and_configuration_end_with_two_before_anything_is_asked() {
    let given = Given::new("");
    let planted = given.file(
        "docker.json",
        br#"{"auths": {"a.io": {"auth": "planted"}}}"#,
    );
    let planted = planted.display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&[], "at least one image"),
        (&["--output", "yaml", "a.io/b"], "text or json"),
        (&["--watch", "a.io/b"], "--watch"),
        (&["--docker-config", "/nowhere/x", "a.io/b"], "/nowhere/x"),
        (&["--docker-config", &planted, "a.io/b"], "docker.json"),
    ];
    for (arguments, expected) in cases {
        let checked = given.check(arguments).await;
        assert_eq!(checked.code, Some(2), "{arguments:?}");
        assert!(checked.error.contains(expected), "{}", checked.error);
        assert!(!checked.error.contains("planted"), "{}", checked.error);
        assert_eq!(checked.output, "");
    }
    let cases = [
        (Given::new("registry: []"), "registries"),
        (
            Given::new("").variable("https_proxy", "socks5://user:planted@proxy:1080"),
            "https_proxy",
        ),
    ];
    for (given, expected) in cases {
        let checked = given.check(&["a.io/b"]).await;
        assert_eq!(checked.code, Some(2));
        assert!(checked.error.contains(expected), "{}", checked.error);
        assert!(!checked.error.contains("planted"), "{}", checked.error);
    }
    let help = given.check(&["--help"]).await;
    assert_eq!(help.code, Some(0));
    assert!(help.output.contains("--docker-config"), "{}", help.output);
}
