//! The native address of Artifactory, which only a server of the test's own can have.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use kube_autorollout_testbed::image::Image;
use serde_json::json;

use super::Given;

const NATIVE: &str = " /artifactory/api/docker/docker-local/v2/team/app/manifests/";

/// An Artifactory behind a proxy that does not rewrite `/v2/`, until the test's process ends.
fn artifactory() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that has gone asks for nothing more.
            drop(stream.and_then(answer));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let request = String::from_utf8_lossy(&request);
    let image = Image::new("artifactory");
    let (status, body) = if request.contains(NATIVE) {
        ("200 OK", image.manifest())
    } else {
        ("404 Not Found", Vec::new())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nx-jfrog-version: Artifactory/7\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-type: {}\r\ndocker-content-digest: {}\r\n\r\n",
        body.len(),
        image.media_type(),
        image.digest(),
    );
    stream.write_all(head.as_bytes())?;
    if request.starts_with("HEAD ") {
        return Ok(());
    }
    stream.write_all(&body)
}

#[tokio::test]
async fn an_artifactory_is_asked_at_its_native_address_only_if_the_feature_is_on() {
    let host = artifactory();
    let image = format!("{host}/docker-local/team/app:1");
    for (enabled, code) in [(false, 1), (true, 0)] {
        let configuration = json!({
            "registries": [{ "hostnamePattern": host.to_string(), "plainHttp": true }],
            "featureFlags": { "enableJfrogArtifactoryFallback": enabled },
        });
        let given = Given::new(&configuration.to_string());
        let (found, list) = given.check_json(&[&image]).await;
        assert_eq!(found, Some(code), "{list:?}");
        let kind = list[0]["error"]["kind"].as_str();
        assert_eq!(kind, (!enabled).then_some("TagNotFound"), "{list:?}");
    }
}
