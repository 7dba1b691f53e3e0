//! What a kubeconfig may configure of the API server and of its user.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kube_autorollout_testbed::{
    controller::SERVICE_ACCOUNT, process::Folder, workload::eventually,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    harness::{SOON, World},
    proxies::with_environment,
};

/// A kubeconfig with a good token, to be changed.
async fn good(world: &World) -> Value {
    let file = world
        .testbed
        .control_plane()
        .kubeconfig_for(world.namespace.name(), SERVICE_ACCOUNT)
        .await
        .expect("a kubeconfig");
    let text = fs::read_to_string(file).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

fn token(kubeconfig: &Value) -> &str {
    let token = &kubeconfig["users"][0]["user"]["token"];
    token.as_str().expect("a token")
}

/// The same cluster for another user.
fn with_user(good: &Value, user: Value) -> Value {
    let mut kubeconfig = good.clone();
    kubeconfig["users"][0]["user"] = user;
    kubeconfig
}

fn with_cluster(good: &Value, name: &str, value: Value) -> Value {
    let mut kubeconfig = good.clone();
    kubeconfig["clusters"][0]["cluster"][name] = value;
    kubeconfig
}

/// A controller becomes ready that has nothing but this kubeconfig.
async fn leads_to_the_api_server(world: &World, folder: &Folder, kubeconfig: &Value) {
    let file = folder.path().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).expect("a file");
    let variable = ("KUBECONFIG", file.to_str().expect("a name"));
    let server = with_environment(world, folder, &[variable]).await;
    drop(server);
}

/// A program that records each run, and prints what is in a file.
fn plugin(folder: &Path, reported: &Value) -> Value {
    let script =
        "#!/bin/sh\ncd \"${0%/*}\" && echo \"$KUBERNETES_EXEC_INFO\" >>runs && cat reported\n";
    let program = folder.join("plugin");
    fs::write(&program, script).expect("a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("permitted");
    let reported = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": reported,
    });
    fs::write(folder.join("reported"), reported.to_string()).expect("a file");
    json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./plugin",
        "interactiveMode": "Never",
        "provideClusterInfo": true,
    }})
}

fn runs(folder: &Path) -> Vec<Value> {
    let runs = fs::read_to_string(folder.join("runs")).expect("it ran");
    let runs = runs.lines().map(serde_json::from_str);
    runs.collect::<Result<_, _>>().expect("JSON")
}

#[tokio::test]
async fn a_token_may_lie_in_a_file_beside_the_kubeconfig() {
    let world = World::new("token-file").await;
    let good = good(&world).await;
    let folder = Folder::new().expect("a folder");
    fs::write(folder.path().join("token"), token(&good)).expect("a file");
    let kubeconfig = with_user(&good, json!({ "tokenFile": "token" }));
    leads_to_the_api_server(&world, &folder, &kubeconfig).await;
}

#[tokio::test]
async fn a_certificate_authenticates_the_controller() {
    let world = World::new("certificate").await;
    let good = good(&world).await;
    let [certificate, key] = world.testbed.control_plane().client_certificate();
    let folder = Folder::new().expect("a folder");
    let user = json!({ "client-certificate": certificate, "client-key": key });
    leads_to_the_api_server(&world, &folder, &with_user(&good, user)).await;
    // From a plugin, too
    let pem = |path| fs::read_to_string(path).expect("a file");
    let reported = json!({ "clientCertificateData": pem(certificate), "clientKeyData": pem(key) });
    let user = plugin(folder.path(), &reported);
    leads_to_the_api_server(&world, &folder, &with_user(&good, user)).await;
}

#[tokio::test]
async fn an_exec_plugin_is_run_once_until_its_token_expires() {
    let world = World::new("plugin").await;
    let good = good(&world).await;
    for (end, once) in [
        ("2100-01-01T00:00:00Z", true),
        ("2000-01-01T00:00:00Z", false),
    ] {
        let folder = Folder::new().expect("a folder");
        let reported = json!({ "token": token(&good), "expirationTimestamp": end });
        let user = plugin(folder.path(), &reported);
        leads_to_the_api_server(&world, &folder, &with_user(&good, user)).await;
        let runs = runs(folder.path());
        assert_eq!(runs.len() == 1, once, "{end}: {runs:?}");
        assert_eq!(runs[0]["kind"], "ExecCredential");
        let cluster = &runs[0]["spec"]["cluster"];
        assert_eq!(cluster["server"], world.testbed.control_plane().url());
    }
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    let world = World::new("kubeconfig-proxy").await;
    let good = good(&world).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let tunnels = Arc::new(AtomicUsize::new(0));
    let mut proxy = JoinSet::new(); // dropping it stops it
    proxy.spawn(serve(listener, Arc::clone(&tunnels)));
    let folder = Folder::new().expect("a folder");
    let url = json!(format!("http://user:p%40ss@{address}"));
    let kubeconfig = with_cluster(&good, "proxy-url", url);
    leads_to_the_api_server(&world, &folder, &kubeconfig).await;
    assert!(tunnels.load(Ordering::Relaxed) > 0);
}

/// A proxy that knows one user, and counts tunnels.
async fn serve(listener: TcpListener, tunnels: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(tunnel(client, Arc::clone(&tunnels)));
    }
}

async fn tunnel(client: TcpStream, tunnels: Arc<AtomicUsize>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut head, mut line) = (String::new(), String::new());
    while client.read_line(&mut line).await? > 2 {
        head.push_str(&std::mem::take(&mut line));
    }
    let login = "proxy-authorization: basic dXNlcjpwQHNz\r\n"; // user:p@ss
    assert!(
        head.to_lowercase().contains(&login.to_lowercase()),
        "{head}"
    );
    let to = head.split(' ').nth(1).expect("an address");
    let mut server = TcpStream::connect(to).await?;
    tunnels.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

#[tokio::test]
async fn a_server_with_an_unknown_issuer_is_refused_unless_the_kubeconfig_skips_the_verification() {
    let world = World::new("unverified").await;
    let good = good(&world).await;
    let mut stranger = good.clone();
    let cluster = stranger["clusters"][0]["cluster"].as_object_mut();
    let cluster = cluster.expect("a cluster");
    cluster.remove("certificate-authority-data");
    let folder = Folder::new().expect("a folder");
    let file = folder.path().join("kubeconfig");
    fs::write(&file, stranger.to_string()).expect("a file");
    let port = TcpListener::bind("127.0.0.1:0").await;
    let port = port.and_then(|listener| listener.local_addr());
    let configuration = json!({ "webserver": { "port": port.expect("a port").port() } });
    let configuration_file = folder.path().join("config.yaml");
    fs::write(&configuration_file, configuration.to_string()).expect("a file");
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    let mut controller = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
        .env_clear()
        .env("KUBECONFIG", &file)
        .env("CONFIG_FILE", &configuration_file)
        .stdout(Stdio::from(log))
        .spawn()
        .expect("the program runs");
    let refused = eventually(SOON, "a refusal", async || {
        let log = fs::read_to_string(folder.path().join("log")).expect("a log");
        if log.contains("UnknownIssuer") {
            Ok(())
        } else {
            Err(log)
        }
    });
    let refused = refused.await;
    controller
        .kill()
        .and_then(|()| controller.wait().map(drop))
        .expect("it ran");
    refused.unwrap_or_else(|error| panic!("{error}"));
    let trusting = with_cluster(&stranger, "insecure-skip-tls-verify", json!(true));
    leads_to_the_api_server(&world, &folder, &trusting).await;
}
