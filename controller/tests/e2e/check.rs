//! `kube-autorollout check` against real registries.

mod artifactory;
mod artifacts;
mod many;

use std::{
    net::TcpListener,
    path::PathBuf,
    time::{Duration, Instant},
};

use kube_autorollout_testbed::{
    Testbed,
    image::{Content, Image, ImageIndex, Pusher},
    registry::{ALICE, Access, Registry},
    shared,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A folder with a configuration and what it names, and variables of the environment.
struct Given {
    folder: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

/// What a check ended with.
struct Checked {
    code: Option<i32>,
    output: String,
    error: String,
}

impl Given {
    fn new(configuration: &str) -> Self {
        let given = Self {
            folder: tempfile::tempdir().expect("a folder"),
            environment: Vec::new(),
        };
        given.file("config.yaml", configuration.as_bytes());
        given
    }

    /// Plain HTTP to the testbed's shared registry, and the certificates of these others.
    fn trusting(testbed: &Testbed, registries: &[&Registry]) -> Self {
        let given = Self::new("");
        let mut entries =
            vec![json!({ "hostnamePattern": testbed.registry().host(), "plainHttp": true })];
        for registry in registries {
            let ca = given.file(
                &format!("{}.crt", registry.host()),
                registry.ca_certificate(),
            );
            let entry = json!({ "hostnamePattern": registry.host(), "caCertificatePaths": [ca] });
            entries.push(entry);
        }
        let configuration = json!({ "registries": entries }).to_string();
        given.file("config.yaml", configuration.as_bytes());
        given
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A Docker configuration with a login for all these registries.
    fn docker_config(&self, registries: &[&Registry]) -> String {
        let mut auths = serde_json::Map::new();
        for registry in registries {
            let one: Value =
                serde_json::from_str(&registry.docker_config(ALICE)).expect("a configuration");
            let one = one["auths"].as_object().expect("an object").clone();
            auths.extend(one);
        }
        let path = self.file(
            "docker.json",
            json!({ "auths": auths }).to_string().as_bytes(),
        );
        path.display().to_string()
    }

    async fn check(&self, arguments: &[&str]) -> Checked {
        let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
            .arg("check")
            .args(arguments)
            .env_clear()
            .env("CONFIG_FILE", self.folder.path().join("config.yaml"))
            .envs(self.environment.iter().copied())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the program runs");
        Checked {
            code: output.status.code(),
            output: String::from_utf8(output.stdout).expect("text"),
            error: String::from_utf8(output.stderr).expect("text"),
        }
    }

    async fn check_json(&self, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
        let checked = self
            .check(&[&["--output", "json"], arguments].concat())
            .await;
        let list = serde_json::from_str(&checked.output)
            .unwrap_or_else(|error| panic!("{error}: {} {}", checked.output, checked.error));
        (checked.code, list)
    }
}

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

/// What is reported of an image that resolved.
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
async fn what_does_not_resolve_is_reported_with_its_kind_and_what_to_try() {
    let testbed = shared().await;
    let (passwords, untrusted, tokens) = tokio::join!(
        start(testbed, Access::Htpasswd),
        start(testbed, Access::Htpasswd),
        start(testbed, Access::Token),
    );
    let image = Image::new("check-fails");
    let good = push(testbed.registry(), &image, "check-fails").await;
    let gone = format!("{}/check-fails:gone", testbed.registry().host());
    let private = push(&passwords, &image, "app").await;
    let denied = push(&tokens, &image, "app").await;
    let strange = format!("{}/app:latest", untrusted.host());
    let cases = [
        (gone.as_str(), "TagNotFound", "spelled"),
        ("Team/web", "InvalidReference", "registry/repository:tag"),
        (&private, "Unauthorized", "pull secret"),
        (&denied, "Unauthorized", "pull secret"),
        (&strange, "Tls", "certificate authority"),
        (&good, "", ""),
    ];
    let images = cases.map(|(image, _, _)| image);
    let given = Given::trusting(testbed, &[&passwords, &tokens]);
    let (code, list) = given.check_json(&images).await;
    assert_eq!(code, Some(1), "{list:?}");
    let order: Vec<_> = list.iter().map(|object| &object["image"]).collect();
    assert_eq!(order, images);
    assert_eq!(errors(&list, "kind"), cases.map(|(_, kind, _)| kind));
    for (advice, (image, _, part)) in errors(&list, "advice").iter().zip(cases) {
        assert!(advice.contains(part), "{image}: {advice}");
    }
    assert_eq!(list[5]["digest"], image.digest().to_string());
}

#[tokio::test]
async fn a_login_that_is_not_accepted_is_reported_and_not_shown() {
    let testbed = shared().await;
    let tokens = start(testbed, Access::Token).await;
    let image = Image::new("check-login");
    let private = push(&tokens, &image, "app").await;
    let given = Given::trusting(testbed, &[&tokens]);
    let login = json!({ "username": "alice", "password": "planted-secret" });
    let wrong = json!({ "auths": { tokens.host(): login } }).to_string();
    let wrong = given.file("wrong.json", wrong.as_bytes());
    let wrong = wrong.display().to_string();
    let checked = given.check(&["--docker-config", &wrong, &private]).await;
    assert_eq!(checked.code, Some(1));
    let shown = &checked.output;
    assert!(
        shown.contains("\n  error           Unauthorized\n"),
        "{shown}"
    );
    assert!(
        shown.contains("\n  advice          renew the password"),
        "{shown}"
    );
    let said = checked.output + &checked.error;
    assert!(!said.contains("planted"), "{said}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_costs_one_time_out_and_hides_nothing() {
    let testbed = shared().await;
    let image = Image::new("check-silent");
    let good = push(testbed.registry(), &image, "check-silent").await;
    // Connections are accepted by the kernel, and nobody reads from them.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = listener.local_addr().expect("an address");
    let mut images: Vec<String> = (0..20).map(|tag| format!("{silent}/app:{tag}")).collect();
    images.insert(10, good);
    let given = Given::new("registries: [{ hostnamePattern: '*', plainHttp: true }]");
    let begun = Instant::now();
    let arguments: Vec<&str> = images.iter().map(String::as_str).collect();
    let (code, list) = given.check_json(&arguments).await;
    let took = begun.elapsed();
    assert_eq!(code, Some(1));
    assert!(
        took < Duration::from_secs(60),
        "one time-out and not one for each image: {took:?}"
    );
    for (place, object) in list.iter().enumerate() {
        assert_eq!(object["image"], images[place]);
        if place == 10 {
            assert_eq!(object["digest"], image.digest().to_string());
        } else {
            assert_eq!(object["error"]["kind"], "Timeout", "{object}");
        }
    }
}

#[tokio::test]
async fn a_docker_configuration_without_the_credentials_themselves_is_named() {
    let testbed = shared().await;
    let passwords = start(testbed, Access::Htpasswd).await;
    let private = push(&passwords, &Image::new("check-empty"), "app").await;
    let host = passwords.host();
    let empty = json!({ "auths": { host: { "username": "", "password": "", "auth": "" } } });
    let desktop = json!({ "auths": { host: {} }, "credsStore": "desktop" });
    for (configuration, expected) in [
        (empty, format!("its entry \"{host}\" is empty")),
        (desktop, "the credential helper \"desktop\"".to_owned()),
    ] {
        let given = Given::trusting(testbed, &[&passwords]);
        let path = given.file("docker.json", configuration.to_string().as_bytes());
        let path = path.display().to_string();
        let (code, list) = given
            .check_json(&["--docker-config", &path, &private])
            .await;
        assert_eq!(code, Some(1));
        assert_eq!(errors(&list, "kind"), ["Unauthorized"]);
        let [detail] = errors(&list, "detail")[..] else {
            panic!("{list:?}");
        };
        assert!(detail.contains(&expected), "{detail}");
        let [advice] = errors(&list, "advice")[..] else {
            panic!("{list:?}");
        };
        assert!(advice.starts_with("write "), "{advice}");
    }
}

#[tokio::test]
async fn an_image_is_asked_for_at_the_endpoint_and_keeps_its_name() {
    let testbed = shared().await;
    let image = Image::new("check-endpoint");
    push(testbed.registry(), &image, "check-hub/library/web").await;
    let endpoint = format!("http://{}/check-hub", testbed.registry().host());
    let entry = json!({ "hostnamePattern": "docker.io", "endpoint": endpoint });
    let given = Given::new(&json!({ "registries": [entry] }).to_string());
    let (code, list) = given.check_json(&["web"]).await;
    assert_eq!(list, [resolved("web", &image, &Value::Null, "anonymous")]);
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn a_proxy_is_used_unless_the_host_is_exempt() {
    let testbed = shared().await;
    let image = Image::new("check-proxy");
    let good = push(testbed.registry(), &image, "check-proxy").await;
    let dead = "http://user:planted@127.0.0.1:1";
    // A name that nobody resolves.
    let elsewhere = "registry.test/app:1";
    let plain = "registries: [{ hostnamePattern: '*', plainHttp: true }]";
    let behind = |name| Given::new(plain).variable(name, dead);
    let is_asked = async |given: Given| {
        let (code, list) = given.check_json(&[&good, elsewhere]).await;
        assert_eq!(code, Some(1), "{list:?}");
        assert_eq!(
            errors(&list, "kind"),
            ["", "Transport"],
            "loopback is direct"
        );
        let detail = list[1].to_string();
        assert!(!detail.contains("planted"), "{detail}");
        detail.contains("the proxy 127.0.0.1:1 cannot be reached")
    };
    for name in ["HTTP_PROXY", "http_proxy"] {
        assert!(is_asked(behind(name)).await);
        for exempt in ["NO_PROXY", "no_proxy"] {
            let given = behind(name).variable(exempt, "*.test");
            assert!(!is_asked(given).await);
        }
    }
    let https = behind("HTTPS_PROXY");
    assert!(!is_asked(https).await, "the registry is plain HTTP's");
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
