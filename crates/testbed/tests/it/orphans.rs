//! No server outlives the process that started it.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, stdin},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use kube_autorollout_testbed::{
    programs::Programs,
    registry::{Access, Registry},
    workload::eventually,
};
use tokio::net::TcpStream;

/// The prefix of the line on which the helper prints the address of its registry.
const LINE: &str = "registry at ";

/// Run as a process of its own by the test below, which kills it.
#[tokio::test]
#[ignore = "the helper of another test"]
async fn helper_that_holds_a_registry_until_its_input_ends() {
    let programs = Programs::find(&|_| {}).expect("found or built");
    let registry = Registry::start(&programs, Access::Plain).await;
    let registry = registry.expect("it starts");
    println!("\n{LINE}{}", registry.host());
    stdin().read_to_end(&mut Vec::new()).expect("a pipe");
}

#[tokio::test]
async fn a_killed_test_process_leaves_no_server_and_no_folder_behind() {
    let mut helper = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--nocapture", "--exact"])
        .arg("orphans::helper_that_holds_a_registry_until_its_input_ends")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let output = BufReader::new(helper.stdout.take().expect("a pipe"));
    let host = output
        .lines()
        .find_map(|line| Some(line.ok()?.strip_prefix(LINE)?.to_owned()))
        .expect("it says where");
    TcpStream::connect(&host)
        .await
        .expect("the registry listens");
    let folder = folder_of_registry(&host).expect("the registry runs in its folder");
    helper.kill().expect("SIGKILL");
    helper.wait().expect("it ended");
    eventually(
        Duration::from_secs(20),
        "no registry, no folder",
        async || {
            let listens = TcpStream::connect(&host).await.is_ok();
            let exists = Path::new(&folder).exists();
            match (listens, exists) {
                (false, false) => Ok(()),
                other => Err(format!("(listens, folder exists) = {other:?}")),
            }
        },
    )
    .await
    .expect("both are gone");
}

/// The working directory of the process whose settings name this address.
fn folder_of_registry(host: &str) -> Option<String> {
    fs::read_dir("/proc").ok()?.find_map(|process| {
        let folder = fs::read_link(process.ok()?.path().join("cwd")).ok()?;
        let settings = fs::read_to_string(folder.join("config.yml")).ok()?;
        settings
            .contains(host)
            .then(|| folder.display().to_string())
    })
}
