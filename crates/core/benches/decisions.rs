//! What a check computes for each workload: guards against slips, with `cargo bench --package kube-autorollout-core`.

#![expect(
    clippy::expect_used,
    reason = "what is measured is made here, and a mistake in it should stop the bench"
)]

use std::{hint::black_box, sync::Arc};

use divan::Bencher;
use jiff::Timestamp;
use kube_autorollout_core::{
    Digest,
    annotations::Settings,
    compare::{Comparison, ManifestLookup, Verdict, compare},
    decide::{Container, Observed, Policy, Running, decide},
    image_id::ImageId,
    manifest::Manifest,
    platform::Platforms,
    reference,
    state::Reason,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn main() {
    divan::main();
}

fn digest(number: usize) -> Digest {
    let digest = format!("sha256:{number:064x}");
    digest.parse().expect("a digest")
}

/// An index as `BuildKit` writes it: images of some architectures, and an attestation of each.
fn index(architectures: usize) -> String {
    let image = |number: usize| {
        let digest = digest(number);
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1234,
            "platform":{{"os":"linux","architecture":"a{number}"}}}},
            {{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1234,
            "platform":{{"os":"unknown","architecture":"unknown"}},
            "annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{digest}"}}}}"#
        )
    };
    let images: Vec<String> = (1..=architectures).map(image).collect();
    let images = images.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{images}]}}"#)
}

/// A workload whose containers run what their tags name, or not.
fn observed(pods: usize, verdict: Verdict) -> Observed {
    let running = Running {
        verdict,
        digest: Some(digest(1)),
        names_tag: true,
        ready: true,
        pulls_always: true,
        waiting: None,
    };
    let containers = names().map(|name| Container {
        pods: vec![running.clone(); pods],
        ..Container::new(&name, &format!("ghcr.io/team/{name}:main"), Ok(digest(2)))
    });
    Observed::complete(containers.into())
}

fn names() -> [String; 3] {
    ["log", "proxy", "web"].map(str::to_owned)
}

fn decide_with(bencher: Bencher<'_, '_>, pods: usize, verdict: Verdict) {
    let observed = observed(pods, verdict);
    let settings = Settings {
        selected: names().into(),
        schedule: None,
        hold: None,
    };
    let limits = Policy::default();
    let now = Timestamp::UNIX_EPOCH;
    bencher.bench(|| decide(black_box(&observed), &settings, &limits, now));
}

#[divan::bench(args = [1, 100])]
fn decide_what_is_up_to_date(bencher: Bencher<'_, '_>, pods: usize) {
    decide_with(bencher, pods, Verdict::Current(Reason::Current));
}

#[divan::bench(args = [1, 100])]
fn decide_what_is_outdated(bencher: Bencher<'_, '_>, pods: usize) {
    decide_with(bencher, pods, Verdict::Stale);
}

#[divan::bench(args = [2, 12])]
fn parse_an_index(bencher: Bencher<'_, '_>, architectures: usize) {
    let body = index(architectures);
    bencher.bench(|| Manifest::parse(INDEX, black_box(body.as_bytes())));
}

#[divan::bench]
fn compare_with_another_index_of_the_same_images(bencher: Bencher<'_, '_>) {
    let manifest = Manifest::parse(INDEX, index(12).as_bytes()).expect("an index");
    let manifest = Arc::new(manifest);
    let (tag, running) = (digest(100), digest(101));
    let running = ImageId::parse(&format!("ghcr.io/team/web@{running}"));
    let question = Comparison {
        reference: &reference::parse("ghcr.io/team/web:main").expect("a reference"),
        tag: &tag,
        running: &running,
        pulled: None,
        platforms: &Platforms::Every,
    };
    bencher.bench(|| {
        compare(black_box(question), &|_| {
            Some(ManifestLookup::Manifest(Arc::clone(&manifest)))
        })
    });
}

#[divan::bench]
fn parse_an_image_id(bencher: Bencher<'_, '_>) {
    let text = format!("docker.io/library/nginx@{}", digest(1));
    bencher.bench(|| ImageId::parse(black_box(&text)));
}
