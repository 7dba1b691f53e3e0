//! The proxies of the environment.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use kube_autorollout_testbed::{
    controller::SERVICE_ACCOUNT,
    image::Image,
    process::{Folder, Launch, Server},
    workload::{self, eventually},
};

use crate::harness::{SOON, World};

/// A controller whose environment has these variables, once it is ready.
pub(crate) async fn with_environment(
    world: &World,
    folder: &Folder,
    variables: &[(&'static str, &str)],
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let configuration = format!(
        "interval: 1s\nlogLevel: debug\nwebserver: {{ port: {port} }}\nregistries: [{{ hostnamePattern: '127.0.0.1:*', plainHttp: true }}]\n"
    );
    let file = folder.path().join("config.yaml");
    fs::write(&file, configuration).expect("a file");
    let kubeconfig = world
        .testbed
        .control_plane()
        .kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT)
        .await
        .expect("a kubeconfig");
    let mut environment = vec![
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("CONFIG_FILE", file.display().to_string()),
    ];
    environment.extend(
        variables
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let launch = Launch {
        name: "kube-autorollout",
        program: env!("CARGO_BIN_EXE_kube-autorollout").into(),
        arguments: Vec::new(),
        environment,
        folder: folder.path().to_owned(),
    };
    let server = Server::new(launch, move || {
        let ready = tokio::task::spawn_blocking(move || is_ready(port));
        Box::pin(async move { ready.await.is_ok_and(|ready| ready) })
    });
    let started = server.start().await;
    started.unwrap_or_else(|error| panic!("{error}"));
    server
}

fn is_ready(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

#[tokio::test]
async fn proxies_are_for_registries_and_never_for_the_api_server_nor_for_loopback() {
    let world = World::new("proxy").await;
    world.push(&Image::new("proxy-1"), "app").await;
    world.deploy("web", "app").await;
    // A name that nobody resolves: its pod never starts, and the controller asks the proxy for it.
    let elsewhere = workload::Deployment::named("elsewhere");
    let elsewhere = elsewhere.container("app", "registry.test/app:1").labelled();
    world.create(elsewhere).await;
    let dead = "http://user:planted@127.0.0.1:1";
    let through_the_proxy = [
        "WARN",
        "Transport",
        "the proxy 127.0.0.1:1 cannot be reached",
    ];
    let directly = ["WARN", "Transport", "registry.test"];
    for (exempt, expected) in [("", &through_the_proxy), ("*.test", &directly)] {
        let folder = Folder::new().expect("a folder");
        let variables = [
            ("HTTPS_PROXY", dead),
            ("HTTP_PROXY", dead),
            ("NO_PROXY", exempt),
            ("no_proxy", ""),
        ];
        let server = with_environment(&world, &folder, &variables).await;
        let logged = eventually(SOON, "both decisions", async || {
            let log = fs::read_to_string(server.output()).unwrap_or_default();
            let has = |parts: &[&str]| {
                let mut lines = log.lines();
                lines.any(|line| parts.iter().all(|part| line.contains(part)))
            };
            let found = has(&["state=UpToDate", "decided"]) && has(expected);
            if found { Ok(log) } else { Err(log) }
        });
        let log = logged.await.unwrap_or_else(|error| panic!("{error}"));
        assert!(!log.contains("planted"), "{log}");
        assert_eq!(exempt.is_empty(), log.contains("the proxy"), "{log}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_ends_the_start_with_two_and_is_not_shown() {
    let output = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
        .env_clear()
        .env("HTTPS_PROXY", "socks5://user:planted@proxy:1080")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("HTTPS_PROXY") && error.contains("http://host:port"),
        "{error}"
    );
    assert!(!error.contains("planted"), "{error}");
}
