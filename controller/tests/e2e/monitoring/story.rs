//! A real Prometheus scrapes a controller that has something to report.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read as _, Write as _},
    iter,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use kube_autorollout_testbed::{
    image::{Image, Pusher},
    installed,
    process::Port,
    prometheus::{Prometheus, one_target},
    registry::{ALICE, Access, Registry},
    workload::{Deployment, eventually},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{RULES, dashboard::expressions, documents::documented, path, rules};
use crate::harness::{Controller, SOON, World};

/// A registry that grants 7 more pulls and then asks for patience, until the test's process ends.
fn miser() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let digest = "a".repeat(64);
        let granted = format!(
            "200 OK\r\nratelimit-limit: 100;w=21600\r\nratelimit-remaining: 7;w=21600\r\n\
             content-type: application/vnd.oci.image.manifest.v1+json\r\ndocker-content-digest: sha256:{digest}"
        );
        let patience = "429 Too Many Requests\r\nretry-after: 600".to_owned();
        let mut answers = iter::once(granted).chain(iter::repeat(patience));
        for stream in listener.incoming() {
            // A client that has gone asks for nothing more.
            drop(stream.and_then(|stream| respond(stream, &mut answers)));
        }
    });
    address
}

/// The next answer for the controller, none for the nodes.
fn respond(
    mut stream: TcpStream,
    answers: &mut impl Iterator<Item = String>,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
    }
    let request = String::from_utf8_lossy(&request).to_lowercase();
    let ours = request.contains("user-agent: kube-autorollout/");
    let answer = if ours { answers.next() } else { None };
    let answer = answer.unwrap_or_else(|| "404 Not Found".to_owned());
    write!(
        stream,
        "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

/// One workload that is rolled out after a hint, one that is held, one whose registry refuses our login, one whose registry has a rate
/// limit, and one whose cloud issues nothing.
struct Story {
    world: World,
    controller: Controller,
    hints: Port,
    _registry: Registry,
    folder: TempDir,
}

impl Story {
    async fn begin() -> Self {
        let world = World::new("monitored").await;
        let private = world.testbed.start_registry(Access::Token).await;
        let private = private.expect("a registry");
        let miser = miser();
        create_workloads(&world, &private, miser).await;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ca.crt"), private.ca_certificate()).expect("a file");
        fs::write(at("secret"), "secret").expect("a file");
        let hints = world.testbed.port().expect("a port");
        let receivers = json!([{ "name": "ci", "type": "generic", "secretFile": at("secret") }]);
        let receivers = json!({ "port": hints.number(), "receivers": receivers });
        let secret = json!({ "type": "Opaque", "username": ALICE.name, "token": "wrong" });
        let entries = json!([
            { "hostnamePattern": private.host(), "caCertificatePaths": [at("ca.crt")], "secret": secret },
            { "hostnamePattern": world.testbed.registry().host(), "plainHttp": true },
            { "hostnamePattern": miser.to_string(), "plainHttp": true },
            { "hostnamePattern": "cloud.test", "secret": { "type": "CloudIdentity", "cloud": "azure" } },
        ]);
        let sink = json!({ "name": "nobody", "type": "webhook", "url": "http://127.0.0.1:1/" });
        let configuration = format!(
            "registries: {entries}\nhints: {receivers}\nnotifications: {{ sinks: [{sink}] }}\npinning: {{ enabled: true }}"
        );
        let controller = world.controller(&configuration).await;
        Self {
            world,
            controller,
            hints,
            _registry: private,
            folder,
        }
    }

    /// Prometheus as its operator would set it up for a `ServiceMonitor` with `honorLabels`.
    async fn prometheus(&self, program: &Path) -> Prometheus {
        let url = self.controller.url();
        let target = url.strip_prefix("http://").expect("an address");
        let labels = [("namespace", "monitoring"), ("pod", "kube-autorollout-0")];
        let programs = self.world.testbed.programs();
        let jobs = one_target(target, &labels);
        let started = Prometheus::start(programs, program, &path(RULES), &jobs).await;
        started.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A job of CI announces an image.
    fn announce(&self, image: &str) {
        let url = format!("http://127.0.0.1:{}/hooks/ci", self.hints.number());
        let sent = Command::new(env!("CARGO_BIN_EXE_kube-autorollout"))
            .args(["hint", image, "--url", &url, "--token-file"])
            .arg(self.folder.path().join("secret"))
            .env_clear()
            .output();
        let sent = sent.expect("the program runs");
        assert!(sent.status.success(), "{sent:?}");
    }

    /// The tag moves, a hint says so, and the workload that is not held is rolled out.
    async fn roll_out(&self) {
        let checked = |metrics: &crate::metrics::Metrics| {
            let of = |name| metrics.sum("workload_last_check_timestamp_seconds", &[("name", name)]);
            of("web") >= 1.0 && of("held") >= 1.0
        };
        self.controller.until("their first check", checked).await;
        self.world.push(&self.world.version(2), "app").await;
        self.announce(&self.world.image("app"));
        let reported = |metrics: &crate::metrics::Metrics| {
            metrics.rollouts("completed") >= 1
                && metrics.sum("hint_to_patch_seconds_count", &[]) >= 1.0
                && metrics.sum("workload_outdated", &[("name", "held")]) >= 1.0
                && metrics.sum("credentials_quarantined", &[]) >= 1.0
                && metrics.sum("registry_backoff_until_timestamp_seconds", &[]) >= 1.0
        };
        self.controller.until("the whole story", reported).await;
    }
}

async fn create_workloads(world: &World, private: &Registry, miser: SocketAddr) {
    world.push(&world.version(1), "app").await;
    for (name, hold) in [("web", "false"), ("held", "true")] {
        let workload = Deployment::named(name).container("app", &world.image("app"));
        let workload = workload
            .labelled()
            .annotation("kube-autorollout/hold", hold);
        // Only a hint finds that the tag has moved
        let workload = workload.annotation("kube-autorollout/interval", "24h");
        world.create(workload).await;
    }
    let pusher = Pusher::new(private.access_as(ALICE)).expect("a pusher");
    let done = pusher.push(&world.version(9), "private", "latest").await;
    done.expect("pushed");
    let rare = format!("{miser}/rare:latest");
    let nodes = world.testbed.nodes();
    let loaded = nodes.preload(&rare, &Image::new("rare"));
    loaded.expect("a reference");
    for (name, image) in [
        ("private", &*format!("{}/private:latest", private.host())),
        ("rare", &rare),
        ("cloudy", "cloud.test/app:1"),
    ] {
        let workload = Deployment::named(name).container("app", image);
        world.create(workload.labelled()).await;
    }
    for name in ["web", "held", "private"] {
        world.rolled_out(name).await;
    }
}

/// Waits until an expression gives at least one number.
async fn until_data(prometheus: &Prometheus, title: &str, expression: &str) -> Vec<Value> {
    let data = eventually(SOON, title, async || {
        let samples = prometheus
            .query(expression)
            .await
            .map_err(|error| error.to_string())?;
        let is_number = |sample: &Value| {
            sample["value"][1]
                .as_str()
                .is_some_and(|value| value != "NaN")
        };
        if samples.iter().any(is_number) {
            Ok(samples)
        } else {
            Err(format!("{expression}: {samples:?}"))
        }
    });
    data.await.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn prometheus_scrapes_the_controller_and_each_panel_of_the_dashboard_has_data() {
    let Some(program) = installed("prometheus") else {
        return;
    };
    let story = Story::begin().await;
    let prometheus = story.prometheus(&program).await;
    let own = until_data(
        &prometheus,
        "the target is up",
        "up{job=\"kube-autorollout\"} == 1",
    )
    .await;
    assert_eq!(
        own[0]["metric"]["namespace"], "monitoring",
        "its own namespace"
    );
    let workloads = until_data(&prometheus, "workloads", "kube_autorollout_workloads").await;
    let namespace = story.world.namespace.name();
    let theirs = workloads
        .iter()
        .all(|sample| sample["metric"]["namespace"] == namespace);
    assert!(theirs, "the namespace of the workloads: {workloads:?}");
    story.roll_out().await;
    for (title, expression) in expressions() {
        until_data(&prometheus, &title, &expression).await;
    }
    let outdated = "kube_autorollout_workload_outdated == 1";
    let outdated = until_data(&prometheus, "the outdated workload", outdated).await;
    assert_eq!(outdated[0]["metric"]["name"], "held");

    let loaded = prometheus.get("rules").await.expect("rules");
    let loaded = loaded["groups"][0]["rules"].as_array().expect("rules");
    let names: Vec<_> = loaded
        .iter()
        .map(|rule| rule["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, rules("- alert: "));
    for rule in loaded {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let soon = until_data(
        &prometheus,
        "a pending alert",
        "ALERTS{alertname=\"KubeAutorolloutCredentialsQuarantined\"}",
    );
    assert_eq!(soon.await[0]["metric"]["alertstate"], "pending");
}

#[tokio::test]
async fn each_metric_is_documented_with_its_type_and_labels_and_no_other_is() {
    let story = Story::begin().await;
    story.roll_out().await;
    let metrics = story.controller.metrics().await;
    let text = metrics.0.text();
    assert_eq!(families(text), documented());
    let Some(promtool) = installed("promtool") else {
        return;
    };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    let mut input = check.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("written");
    drop(input);
    let output = check.wait_with_output().expect("it ends");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
}

/// The type and the labels, sorted, of each metric in Prometheus's text format.
fn families(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let family = |(name, kind): (&str, &str)| {
        let samples = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.split_once('{'));
        let ours = samples.filter(|(end, _)| ["", "_bucket", "_sum", "_count"].contains(end));
        let labels = ours.flat_map(|(_, labels)| {
            labels
                .split("=\"")
                .filter_map(|part| part.rsplit(['"', ',']).next())
        });
        let labels: BTreeSet<_> = labels
            .filter(|label| *label != "le" && !label.starts_with('}'))
            .map(str::to_owned)
            .collect();
        (
            name.to_owned(),
            (kind.to_owned(), labels.into_iter().collect()),
        )
    };
    types.map(family).collect()
}
