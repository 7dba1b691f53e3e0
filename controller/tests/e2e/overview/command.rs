//! `kube-autorollout status`.

use std::process::Output;

use kube_autorollout_core::labels::is_visible;
use kube_autorollout_testbed::workload::Deployment;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};

use super::until_row;
use crate::harness::{Controller, World};

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    let variables = variables.iter().copied();
    command
        .arg("status")
        .args(arguments)
        .env_clear()
        .envs(variables);
    command.output().await.expect("the program runs")
}

/// The same, with what the container of the controller has in its environment.
pub(super) async fn beside(controller: &Controller, arguments: &[&str]) -> Output {
    let url = controller.url();
    let port = url.rsplit(':').next().expect("a port");
    run(arguments, &[("KUBE_AUTOROLLOUT_WEBSERVER__PORT", port)]).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn the_command_shows_the_rows_of_the_process_beside_it() {
    let (world, controller) = World::with_web("command", "interval: 24h").await;
    let namespace = world.namespace.name();
    until_row(&controller, "web", |row| {
        row["containers"][0]["tag"] != Value::Null
    })
    .await;
    let shown = beside(&controller, &[]).await;
    let lines = text(&shown.stdout);
    let words: Vec<Vec<&str>> = lines
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        shown.status.code(),
        Some(0),
        "{lines}{}",
        text(&shown.stderr)
    );
    assert_eq!(
        words[0],
        [
            "NAMESPACE",
            "WORKLOAD",
            "CONTAINER",
            "STATE",
            "REASON",
            "SINCE",
            "RUNS",
            "TAG"
        ]
    );
    assert_eq!(
        words[1][..5],
        [namespace, "Deployment/web", "app", "UpToDate", "Current"]
    );
    assert_eq!(words[1][6], words[1][7], "the beginning of its digest");
    assert_eq!(words[3].join(" "), "1 workload, none needs a person");
    assert!(!lines.contains('\u{1b}'), "no terminal, no colours");

    let wide = beside(&controller, &["-o", "wide"]).await;
    let wide = text(&wide.stdout);
    assert!(
        wide.contains("NEXT CHECK") && wide.contains(&world.image("app")),
        "{wide}"
    );
}

#[tokio::test]
async fn the_exit_code_says_whether_a_workload_needs_a_person() {
    let (world, controller) = World::with_web("exit-code", "interval: 24h").await;
    let bad = Deployment::named("bad").container("app", &world.image("app"));
    world
        .create(
            bad.annotation("kube-autorollout/interval", "soon")
                .labelled(),
        )
        .await;
    until_row(&controller, "bad", |row| row["needsPerson"] == true).await;
    let url = controller.url();
    let json = run(&["--output", "json", "--url", &url], &[]).await;
    assert_eq!(json.status.code(), Some(1), "somebody is needed");
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(
        (&json["needsPerson"], &json["workloads"][0]["name"]),
        (&1.into(), &"bad".into())
    );

    let other = beside(&controller, &["--namespace", "another"]).await;
    assert_eq!(other.status.code(), Some(0));
    let other = text(&other.stdout);
    assert!(
        other.starts_with("No workload in namespace another is selected"),
        "{other}"
    );
}

#[tokio::test]
async fn without_a_controller_it_fails_and_bad_usage_is_another_code() {
    let nobody = run(&["--url", "http://127.0.0.1:9"], &[]).await;
    assert_eq!(
        (nobody.status.code(), text(&nobody.stdout)),
        (Some(1), String::new())
    );
    let error = text(&nobody.stderr);
    assert!(
        error.contains("cannot reach the controller at http://127.0.0.1:9"),
        "{error}"
    );
    for wrong in [
        &["--url", "localhost:8080"][..],
        &["--url", "http://a/?b=c"],
        &["--output", "yaml"],
        &["--namespace", "<b>"],
        &["web"],
    ] {
        let output = run(wrong, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn what_a_stranger_answers_reaches_the_terminal_without_control_characters() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let bodies = [
        r#"{ "error": "\u001b[31mred\u001b]0;title\u0007 \u202e" }"#,
        r#"{ "states": { "\u001b[31mred": 1 } }"#,
    ];
    for (body, status) in [
        (bodies[0], "503 Service Unavailable"),
        (bodies[1], "200 OK"),
    ] {
        let answered = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.expect("a request");
            assert!(head[..read].starts_with(b"GET /status.json "));
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).await.expect("sent");
        };
        let arguments = ["--url", &url];
        let (output, ()) = tokio::join!(run(&arguments, &[]), answered);
        let shown = text(&output.stderr);
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(1), &b""[..]),
            "{shown}"
        );
        assert!(shown.contains("red"), "{shown}");
        let is_seen = |letter: char| letter == '\n' || is_visible(letter);
        assert!(shown.chars().all(is_seen), "{shown:?}");
    }
}
