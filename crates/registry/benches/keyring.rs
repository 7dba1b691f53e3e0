//! What a check costs before anything is asked: guards against slips, with `cargo bench --package kube-autorollout-registry`.

#![expect(
    clippy::expect_used,
    reason = "what is measured is made here, and a mistake in it should stop the bench"
)]

use std::hint::black_box;

use divan::Bencher;
use kube_autorollout_registry::{CredentialChain, Keyring, Reference};

fn main() {
    divan::main();
}

/// A pull Secret for so many registries.
fn docker_config(entries: usize) -> String {
    let entry = |number| {
        format!(r#""*.registry-{number}.example.com/team":{{"username":"robot","password":"p"}}"#)
    };
    let entries: Vec<String> = (0..entries).map(entry).collect();
    format!(r#"{{"auths":{{{}}}}}"#, entries.join(","))
}

fn keyring(entries: usize) -> Keyring {
    let mut keyring = Keyring::default();
    let added = keyring.add_config_json(docker_config(entries).as_bytes());
    added.expect("a Docker configuration");
    keyring
}

#[divan::bench(args = [1, 10, 100])]
fn read_a_docker_configuration(bencher: Bencher<'_, '_>, entries: usize) {
    let json = docker_config(entries);
    bencher.bench(|| Keyring::default().add_config_json(black_box(json.as_bytes())));
}

#[divan::bench(args = [1, 10, 100])]
fn look_an_image_up(bencher: Bencher<'_, '_>, entries: usize) {
    let keyring = keyring(entries);
    let image: Reference = "eu.registry-0.example.com/team/web:1"
        .parse()
        .expect("a reference");
    bencher.bench(|| keyring.lookup(black_box(&image)));
}

#[divan::bench]
fn fingerprint_credentials(bencher: Bencher<'_, '_>) {
    let image = "eu.registry-0.example.com/team/web:1";
    let image: Reference = image.parse().expect("a reference");
    let credentials: CredentialChain = keyring(10).lookup(&image).into_iter().collect();
    bencher.bench(|| black_box(&credentials).fingerprint());
}
