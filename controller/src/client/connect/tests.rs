use kube::config::{KubeConfigOptions, Kubeconfig};

use super::*;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_to_a_dead_server_ends_within_about_a_minute() {
    use socket2::SockRef;
    use tokio::net::TcpListener;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let to = format!("https://{address}").parse().expect("an address");
    let connected = tcp().oneshot(to).await.expect("a connection").into_inner();
    let socket = SockRef::from(&connected);
    let keep_alive = socket.tcp_keepalive_time().expect("set");
    assert_eq!(keep_alive, Duration::from_secs(30));
    let probe = socket.tcp_keepalive_interval().expect("set");
    assert_eq!(probe, Duration::from_secs(10));
    let unacknowledged = socket.tcp_user_timeout().expect("set");
    assert_eq!(unacknowledged, Some(Duration::from_secs(30)));
}

/// A configuration whose exec plugin is this shell script.
async fn with_plugin(script: &str) -> Config {
    let text = serde_json::json!({
        "current-context": "a",
        "contexts": [{ "name": "a", "context": { "cluster": "a", "user": "a" } }],
        "clusters": [{ "name": "a", "cluster": { "server": "http://127.0.0.1:1" } }],
        "users": [{ "name": "a", "user": { "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "sh",
            "args": ["-c", script],
            "interactiveMode": "Never",
        } } }],
    });
    let kubeconfig = Kubeconfig::from_yaml(&text.to_string()).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options);
    config.await.expect("a configuration")
}

#[tokio::test]
async fn an_exec_plugin_that_hangs_exceeds_its_deadline() {
    let config = with_plugin("exec sleep 1").await;
    let error = client(config, Duration::from_millis(20), Recovery::new()).await;
    let error = error.err().expect("no token").to_string();
    assert!(error.contains("exec plugin did not finish"), "{error}");
}

#[tokio::test]
async fn errors_of_requests_do_not_contain_the_output_of_an_exec_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = folder.path().join("first");
    // An expired token makes each request run the plugin again.
    let script = format!(
        "mkdir {0} || {{ echo planted; echo planted >&2; exit 3; }}
         echo '{{ \"status\": {{ \"token\": \"a\", \"expirationTimestamp\": \"2000-01-01T00:00:00Z\" }} }}'",
        first.display()
    );
    let client = client(with_plugin(&script).await, PLUGIN_TIMEOUT, Recovery::new())
        .await
        .expect("a client");
    let request = Request::get("/").body(Vec::new()).expect("a request");
    let error = client.request_text(request).await.expect_err("no token");
    let error = Chain(&error).to_string();
    assert!(error.contains("the exec plugin failed"), "{error}");
    assert!(!error.contains("planted"), "{error}");
}
