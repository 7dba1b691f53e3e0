//! Hostile responses cost no memory. In a separate process, as the peak is the whole process's.
#![cfg(test)] // so that clippy knows the functions between the tests as tests' own
#![cfg(target_os = "linux")]

#[expect(dead_code, unused_imports, reason = "the other tests use more of it")]
#[path = "it/script.rs"]
mod script;

use kube_autorollout_registry::{ErrorKind, RegistryClient};

use crate::script::{Answer, OCI_INDEX, Server, alice, client, credentials, status};

/// The tolerated difference between rounds: a few manifests of the largest size, in doubled buffers.
const SLACK: usize = 24 * 1024 * 1024;

/// Rounds that would show a leak of one manifest each.
const ROUNDS: usize = 20;

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

/// An attack for each repository.
fn attack(target: &str, bomb: &Answer) -> Answer {
    match target.split('/').nth(2).expect("a repository") {
        "endless" => status(200).with("content-type", OCI_INDEX).endless(),
        "bomb" => bomb.clone().with("content-encoding", "gzip"),
        "unlabelled-bomb" => bomb.clone(),
        "challenges" => (0..40).fold(status(401), |answer, _| {
            answer.with("www-authenticate", &["Digest x=y"; 25].join(", "))
        }),
        _ => status(302).with("location", target),
    }
}

async fn suffer_all(client: &RegistryClient, server: &Server) {
    let attacks = [
        ("endless", ErrorKind::ManifestTooLarge),
        ("bomb", ErrorKind::UnsupportedMediaType),
        ("unlabelled-bomb", ErrorKind::DigestMismatch),
        ("challenges", ErrorKind::UnsupportedChallenge),
        ("loop", ErrorKind::RedirectRefused),
    ];
    for (name, expected) in attacks {
        let image = server.image(&format!("{name}:1"));
        let digest = kube_autorollout_testbed::image::digest_of(b"{}");
        let result = client
            .manifest(&image, &digest, &credentials(&[alice()]))
            .await;
        assert_eq!(result.expect_err(name).kind(), expected, "{name}");
    }
}

#[tokio::test]
async fn hostile_answers_leave_memory_as_it_was() {
    let bomb = status(200).with("content-type", OCI_INDEX).gzip_bomb(4);
    let server = Server::start(move |request| attack(&request.target, &bomb)).await;
    let client = client();
    suffer_all(&client, &server).await;
    let before = peak();
    for _ in 0..ROUNDS {
        suffer_all(&client, &server).await;
    }
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes more");
}
