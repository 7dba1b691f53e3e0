//! The controllers of a term, against a scripted API server.

use std::{process::Command, time::Duration};

use ::http::{Request, Response};
use kube::client::{Body, Client};
use serde_json::{Value, json};
use tokio::time;
use tower::service_fn;

use super::*;
use crate::{
    client::Recovery,
    config::{self, LogFormat},
    notifications::Notifier,
    server::logging::{self, Stream},
    workload::panicking::Panicking,
};

/// A generous time limit, even for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// An API server with these Deployments and no other objects, which never change.
fn server(objects: &[Value]) -> Client {
    let list =
        |items| json!({ "metadata": { "resourceVersion": "1" }, "items": items }).to_string();
    let [list, empty] = [list(objects), list(&[])];
    let service = service_fn(move |request: Request<Body>| {
        let is_deployments = request.uri().path().ends_with("/deployments");
        let list = if is_deployments { &list } else { &empty }.clone();
        async move {
            if request
                .uri()
                .query()
                .is_some_and(|query| query.contains("watch=true"))
            {
                std::future::pending::<()>().await;
            }
            Response::builder().body(Body::from(list.into_bytes()))
        }
    });
    Client::new(service, "own")
}

fn object(name: &str, paused: bool) -> Value {
    let metadata = json!({ "name": name, "namespace": "own", "uid": name, "resourceVersion": "1" });
    json!({
        "metadata": metadata,
        "spec": {
            "paused": paused,
            "selector": {},
            "template": { "spec": { "containers": [{ "name": "app", "image": "a" }] } },
        },
    })
}

/// Runs the controller of a kind that panics until its metrics meet the condition.
async fn run_until(client: Client, condition: impl Fn(&str) -> bool) {
    let environment = BTreeMap::new();
    let config = config::load(None, &environment).expect("defaults").config;
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let observer = Arc::new(Observer::new(Arc::clone(&metrics)));
    let registry = options::registry_client(&config, &environment, observer, CONTROLLER_REQUESTS);
    let limiter = Arc::new(Limiter::default());
    let (recorder, _writer) = Recorder::new(
        client.clone(),
        Arc::clone(&metrics),
        String::new(),
        Arc::clone(&limiter),
    );
    let watches = vec![("Deployment", Some("own".to_owned()))];
    let leadership = Arc::new(Leadership::new(false));
    let notifier = Notifier::new(&config.notifications, &metrics);
    let notifier = Arc::new(notifier);
    let shared = Shared {
        config,
        cluster: Cluster {
            client,
            namespace: "own".to_owned(),
            recovery: Recovery::new(),
        },
        registry: registry.expect("a client"),
        identities: None,
        leadership: Arc::clone(&leadership),
        health: Arc::new(Health::new(watches.clone(), leadership)),
        limiter,
        reporter: Arc::new(Reporter::new(Arc::clone(&metrics), recorder, notifier)),
        watches,
        checks: TermScoped::default(),
        context: TermScoped::default(),
    };
    let mut controllers = Controllers::start(&shared, &[Kind::new(&Panicking)]);
    let met = async {
        while !condition(&metrics.encode(true, &BTreeMap::new())) {
            time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = controllers.exited() => panic!("a controller exited"),
        met = time::timeout(TIMEOUT, met) => met.expect("in time"),
    }
}

#[tokio::test]
#[ignore = "panics, so it is run by the next test in a process of its own"]
async fn a_reconcile_panics_and_another_does_not() {
    logging::start(
        Stream::Output,
        LogFormat::Text,
        "info".parse().expect("a filter"),
    );
    let client = server(&[object("bad", false), object("good", true)]);
    let has = |metrics: &str, parts: &[&str]| {
        let mut lines = metrics.lines();
        lines.any(|line| parts.iter().all(|part| line.contains(part)))
    };
    run_until(client, |metrics| {
        let state = |state: &str| has(metrics, &["_workloads{", state, "} 1"]);
        let again = ["_reconciliations_total{", "error", "} 2"];
        state("Paused") && state("Unknown") && has(metrics, &again)
    })
    .await;
}

#[test]
fn a_panic_in_a_reconcile_is_logged_with_its_location_and_stops_no_other() {
    let this = std::env::current_exe().expect("this program");
    let arguments = ["--ignored", "--exact", "--nocapture"];
    let output = Command::new(this)
        .args(arguments)
        .arg("app::tests::a_reconcile_panics_and_another_does_not")
        .output()
        .expect("the test runs");
    let log = String::from_utf8_lossy(&output.stdout);
    let errors = log.lines().filter(|line| line.contains("ERROR"));
    let errors: Vec<_> = errors.collect();
    let location = "panicked at controller/src/workload/panicking.rs:";
    assert!(
        !errors.is_empty()
            && errors
                .iter()
                .all(|line| line.contains(location) && line.contains("planted")),
        "{log}"
    );
    // With `panic = "abort"`, the process fails.
    assert_eq!(output.status.success(), cfg!(panic = "unwind"), "{log}");
}
