use std::future::ready;

use super::*;

fn server(
    folder: &Folder,
    script: &str,
    is_ready: impl Fn() -> bool + Send + Sync + 'static,
) -> Server {
    let launch = Launch {
        name: "script",
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: vec![("GREETING", "hello".to_owned())],
        folder: folder.path().to_owned(),
    };
    Server::new(launch, move || Box::pin(ready(is_ready())))
}

#[tokio::test]
async fn a_server_that_ends_early_tells_the_end_of_its_log() {
    let folder = Folder::new().expect("a folder");
    let server = server(&folder, "echo $GREETING >&2; exit 3", || false);
    let error = server.start().await.expect_err("it ended");
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.ends_with("\nhello"), "{message}");
}

#[tokio::test]
async fn a_server_pauses_and_runs_on_and_ends_when_asked() {
    let folder = Folder::new().expect("a folder");
    let script = "trap 'exit 7' TERM; touch started; while :; do sleep 0.01; done";
    let started = folder.path().join("started");
    let server = server(&folder, script, move || started.exists());
    server.start().await.expect("ready");
    let id = server.id().expect("it runs");
    server.pause().await.expect("a signal");
    assert_eq!(is_stopped(id), Some(true));
    server.resume().await.expect("a signal");
    assert_eq!(is_stopped(id), Some(false));
    let status = server.stop().await.expect("a signal").expect("by itself");
    assert_eq!(status.code(), Some(7));
    assert_eq!(server.id(), None);
}

#[tokio::test]
async fn a_dropped_server_takes_its_children_along() {
    let folder = Folder::new().expect("a folder");
    let child = folder.path().join("child");
    let (ready_file, script) = (
        child.clone(),
        "sleep 1000 & echo $! >child.new; mv child.new child; wait",
    );
    let server = server(&folder, script, move || ready_file.exists());
    server.start().await.expect("ready");
    let id: u32 = fs::read_to_string(child)
        .expect("an id")
        .trim()
        .parse()
        .expect("a number");
    assert_eq!(is_stopped(id), Some(false), "the child runs");
    drop(server);
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(id) {
        assert!(Instant::now() < deadline, "the child {id} still runs");
        sleep(POLL).await;
    }
}

/// A zombie that its new parent has not buried yet is dead.
fn is_alive(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(") ")
                .map(|(_, state)| !state.starts_with('Z'))
        })
        .unwrap_or(false)
}
