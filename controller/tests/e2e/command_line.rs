//! What the command line answers without a cluster, and when a configuration is read.

use std::{
    fs,
    process::{Command, Output},
};

use crate::harness::World;

fn run(arguments: &[&str], configuration: Option<&str>) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder.path());
    if let Some(text) = configuration {
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, text).expect("a file");
        command.env("CONFIG_FILE", file);
    }
    command.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_and_version_are_printed() {
    let help = run(&["--help"], None);
    assert_eq!(help.status.code(), Some(0));
    for expected in [
        "Usage: kube-autorollout",
        "--config",
        "CONFIG_FILE",
        "Exit codes",
    ] {
        assert!(
            text(&help.stdout).contains(expected),
            "{}",
            text(&help.stdout)
        );
    }
    let version = run(&["--version"], None);
    assert_eq!(
        text(&version.stdout),
        format!("kube-autorollout {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_usage_ends_with_two_and_says_where_to_look() {
    let output = run(&["--confg", "x"], None);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("--confg") && error.contains("--help"),
        "{error}"
    );
}

#[test]
fn five_mistakes_are_reported_in_one_message() {
    let configuration = "
cronShedule: '*/45 * * * * *'
timeZone: Europe/Berlín
webserver: { port: 0 }
registries:
  - hostnamePattern: 'ghcr.io'
    secret: { type: Opaque, token: '${NOT_SET_ANYWHERE}' }
tls: { caCertificatePaths: [/nowhere/ca.crt] }
";
    let output = run(&[], Some(configuration));
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    for expected in [
        "cronShedule",
        "cronSchedule",
        "timeZone",
        "webserver.port",
        "NOT_SET_ANYWHERE",
        "/nowhere/ca.crt",
    ] {
        assert!(
            error.contains(expected),
            "{expected} is missing in:\n{error}"
        );
    }
    assert!(
        !error.contains("panicked") && !error.contains("stack backtrace"),
        "{error}"
    );
    assert_eq!(text(&output.stdout), "", "nothing was started");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = run(&["--config", "/nowhere/config.yaml"], None);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("/nowhere/config.yaml"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn without_a_cluster_it_fails_with_one_and_says_what_is_missing() {
    let output = run(&[], None);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("set KUBECONFIG"),
        "{}",
        text(&output.stdout)
    );
}

#[tokio::test]
async fn a_configuration_that_changes_is_read_at_the_next_start_and_not_before() {
    let (world, controller) = World::with_web("config", "").await;
    let file = controller.0.log().with_file_name("config.yaml");
    let before = fs::read_to_string(&file).expect("its configuration");
    fs::write(&file, "intervall: 1s").expect("a file");
    world.push(&world.version(2), "app").await;
    world.until_running(&world.marker(2), 1).await;
    fs::remove_file(&file).expect("it was there");
    controller.until_all("UpToDate", 1).await;
    controller.checks("web", 2).await;
    assert_eq!(controller.stop().await, Some(0));

    fs::write(&file, "intervall: 1s").expect("a file");
    let refused = controller.0.server().start().await;
    let refused = refused.expect_err("a mistake").to_string();
    assert!(refused.contains("exit status: 2"), "{refused}");
    assert!(refused.contains("intervall"), "{refused}");
    fs::write(&file, before).expect("a file");
    controller.start().await;
    controller.until_all("UpToDate", 1).await;
    assert_eq!(world.patches(), 1);
}

#[test]
fn a_hint_that_cannot_be_sent_says_what_is_missing() {
    let table: [(&[&str], &str); 6] = [
        (&["hint"], "hint requires at least one image"),
        (&["hint", "nginx"], "pass --url"),
        (
            &["hint", "--url", "ftp://x/hooks/ci", "nginx"],
            "https://<host>/hooks/<receiver>",
        ),
        (
            &["hint", "--url", "https://x.example/hooks/ci", "nginx"],
            "--token-file",
        ),
        (
            &["hint", "--url", "https://x.example/hooks/ci", "NGINX:"],
            "invalid image",
        ),
        (&["hint", "--wait", "1h", "nginx"], "from 1s to 15m"),
    ];
    for (arguments, expected) in table {
        let output = run(arguments, None);
        let error = text(&output.stderr).to_lowercase();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
