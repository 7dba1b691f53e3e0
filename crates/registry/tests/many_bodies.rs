//! Large bodies from many hosts at once cost no more memory than a few. In a separate process, as the peak is the whole
//! process's.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own
#![cfg(target_os = "linux")]

#[expect(dead_code, unused_imports, reason = "the other tests use more of it")]
#[path = "it/script.rs"]
mod script;

use std::sync::Arc;

use futures::future::join_all;
use kube_autorollout_registry::{CredentialChain, RegistryClient};
use kube_autorollout_testbed::image::digest_of;
use tokio::sync::Semaphore;

use crate::script::{OCI_INDEX, Server, client, status, until};

/// Half of the controller's memory limit in the chart, in bytes.
const MOST: usize = 64 * 1024 * 1024;

/// The largest manifest, in bytes.
const BODY: usize = 4 * 1024 * 1024;

/// The peak memory of the process, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    let kibibytes = line.trim().trim_end_matches(" kB").parse::<usize>();
    kibibytes.expect("a number") * 1024
}

/// Fetches as many manifests from a host at once as permitted, each from a repository of its own.
async fn read_all(
    client: &RegistryClient,
    server: &Server,
    digest: &kube_autorollout_registry::Digest,
) {
    let images: Vec<_> = (0..8)
        .map(|number| server.image(&format!("nested{number}:1")))
        .collect();
    let anonymous = CredentialChain::anonymous();
    let all = images.iter().map(async |image| {
        let manifest = client.manifest(image, digest, &anonymous).await;
        manifest.expect("it is what it should be").body.len()
    });
    assert_eq!(join_all(all).await, [BODY; 8]);
}

#[tokio::test]
async fn large_manifests_of_many_hosts_at_once_share_a_budget() {
    let body = " ".repeat(BODY);
    let digest = digest_of(body.as_bytes());
    let answer = status(200).with("content-type", OCI_INDEX).body(&body);
    drop(body);
    let go = Arc::new(Semaphore::new(0));
    let mut servers = Vec::new();
    for _ in 0..8 {
        let answer = answer.clone().hold(&go);
        servers.push(Server::start(move |_| answer.clone()).await);
    }
    let client = client();
    let all = join_all(
        servers
            .iter()
            .map(|server| read_all(&client, server, &digest)),
    );
    let release = async {
        // One of each host goes ahead, then all others are on their way together.
        until(|| servers.iter().all(|server| server.log().len() == 1)).await;
        go.add_permits(servers.len());
        until(|| servers.iter().all(|server| server.log().len() == 8)).await;
        go.add_permits(100);
    };
    tokio::join!(all, release);
    let peak = peak();
    assert!(peak < MOST, "{} MiB", peak / 1024 / 1024);
}
