//! Images that do not resolve: the kind of error, and the advice.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use kube_autorollout_testbed::{image::Image, registry::Access, shared};
use serde_json::json;

use super::{errors, given::Given, push, start};

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
