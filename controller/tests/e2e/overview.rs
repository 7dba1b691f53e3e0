//! The state of workloads, as a replica reports it: `/status.json`, the page at `/` and `kube-autorollout status`.

mod browser;
mod command;
mod example;
mod page;
mod replicas;
mod versions;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use kube_autorollout_testbed::{
    clock::now,
    image::Content as _,
    workload::{Deployment, eventually},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Controller, SOON, World};

/// An answer of a replica.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request to a replica.
async fn request(controller: &Controller, method: &str, path: &str) -> Answer {
    let url = controller.url();
    let address = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // Of this version, so that the body is no chunks.
    let request = format!("{method} {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Answer {
        status: status.expect("a status"),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

async fn status(controller: &Controller, query: &str) -> Value {
    let answer = request(controller, "GET", &format!("/status.json{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Waits until the row of a workload is as the condition wants it.
async fn until_row(
    controller: &Controller,
    name: &str,
    condition: impl Fn(&Value) -> bool,
) -> Value {
    let found = eventually(SOON, "the row", async || {
        let all = status(controller, "").await;
        let rows = all["workloads"].as_array().expect("rows");
        let row = rows.iter().find(|row| row["name"] == name);
        row.filter(|row| condition(row))
            .cloned()
            .ok_or_else(|| all.to_string())
    });
    found.await.unwrap_or_else(|error| panic!("{error}"))
}

fn instant(value: &Value) -> Timestamp {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("no instant: {value}"));
    text.parse().expect("an instant")
}

#[tokio::test]
async fn a_row_says_what_runs_what_the_tag_names_and_what_is_next() {
    let (world, controller) = World::with_web("row", "").await;
    let image = world.image("app");
    let digest = |version| world.version(version).root_digest().to_string();
    let web = until_row(&controller, "web", |row| row["state"] == "UpToDate").await;
    assert_eq!(
        (&web["namespace"], &web["kind"], &web["reason"]),
        (
            &json!(world.namespace.name()),
            &json!("Deployment"),
            &json!("Current")
        ),
    );
    let container = json!({
        "name": "app",
        "image": image,
        "running": [{ "digest": digest(1), "pods": 1 }],
        "tag": { "digest": digest(1) },
    });
    assert_eq!(web["containers"], json!([container]));
    assert_eq!(
        (&web["needsPerson"], &web["container"]),
        (&json!(false), &json!("app"))
    );
    assert!(instant(&web["nextCheck"]) > instant(&web["since"]), "{web}");
    for absent in ["lastRollout", "nextAttempt", "pinned"] {
        assert_eq!(web[absent], Value::Null, "{web}");
    }

    let until = Timestamp::from_second(now().as_second() + 3600).expect("in an hour");
    let asked =
        json!({ "metadata": { "annotations": { "kube-autorollout/hold": until.to_string() } } });
    world.patch("web", asked).await;
    world.push(&world.version(2), "app").await;
    let held = until_row(&controller, "web", |row| row["state"] == "Held").await;
    assert_eq!(instant(&held["nextAttempt"]), until);
    assert!(instant(&held["since"]) > instant(&web["since"]), "{held}");
    let container = &held["containers"][0];
    assert_eq!(container["running"][0]["digest"], digest(1));
    assert_eq!(container["tag"]["digest"], digest(2));

    let asked = json!({ "metadata": { "annotations": { "kube-autorollout/hold": null } } });
    world.patch("web", asked).await;
    let rolled_out = until_row(&controller, "web", |row| {
        row["state"] == "UpToDate" && row["containers"][0]["running"][0]["digest"] == digest(2)
    });
    let rolled_out = rolled_out.await;
    let ago = now().duration_since(instant(&rolled_out["lastRollout"]));
    assert!(ago < SignedDuration::from_mins(5), "{rolled_out}");

    let label = json!({ "metadata": { "labels": { "kube-autorollout/enabled": null } } });
    world.patch("web", label).await;
    let gone = eventually(SOON, "no row", async || {
        let all = status(&controller, "").await;
        let rows = all["workloads"].as_array().expect("rows");
        rows.is_empty().then_some(()).ok_or_else(|| all.to_string())
    });
    gone.await.unwrap_or_else(|error| panic!("{error}"));
}

/// Requests for the state that are sent in a row.
const OFTEN: usize = 50;

#[tokio::test]
async fn who_asks_causes_no_request_to_the_api_server_or_a_registry() {
    let (world, controller) = World::with_web("asked", "interval: 24h").await;
    until_row(&controller, "web", |row| {
        row["containers"][0]["running"] != Value::Null
    })
    .await;
    let asked = async || {
        let registry = controller
            .metrics()
            .await
            .sum("registry_requests_total", &[]);
        let requests = world.requests();
        let other = requests.iter().filter(|request| request.verb != "watch");
        (registry, other.count())
    };
    let before = asked().await;
    for number in 0..OFTEN {
        let path = if number % 2 == 0 { "/" } else { "/status.json" };
        assert_eq!(request(&controller, "GET", path).await.status, 200);
    }
    assert_eq!(asked().await, before);
}

#[tokio::test]
async fn what_needs_a_person_comes_first_and_queries_choose() {
    let (world, controller) = World::with_web("first", "interval: 24h").await;
    let image = world.image("app");
    let bad = Deployment::named("zz").container("app", &image);
    world
        .create(
            bad.annotation("kube-autorollout/interval", "soon")
                .labelled(),
        )
        .await;
    let none = Deployment::named("none")
        .container("app", &image)
        .replicas(0);
    world.create(none.labelled()).await;
    until_row(&controller, "zz", |row| {
        row["state"] == "InvalidConfiguration"
    })
    .await;
    until_row(&controller, "none", |row| row["state"] == "Skipped").await;
    let all = status(&controller, "").await;
    let names = |all: &Value| -> Vec<String> {
        let rows = all["workloads"].as_array().expect("rows").iter();
        rows.map(|row| row["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(names(&all), ["zz", "none", "web"]);
    let states = json!({ "InvalidConfiguration": 1, "Skipped": 1, "UpToDate": 1 });
    assert_eq!((&all["states"], &all["needsPerson"]), (&states, &json!(1)));
    assert_eq!(
        (&all["version"], &all["complete"]),
        (&json!(1), &json!(true))
    );
    let namespace = world.namespace.name();
    for (query, expected) in [
        ("?state=Skipped".to_owned(), vec!["none"]),
        (
            format!("?namespace={namespace}&state=UpToDate"),
            vec!["web"],
        ),
        ("?namespace=another".to_owned(), vec![]),
        ("?page=1".to_owned(), vec!["zz", "none", "web"]),
    ] {
        let some = status(&controller, &query).await;
        assert_eq!(names(&some), expected, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_asks_for_nothing_there_is_says_what_there_is() {
    let (_world, controller) = World::with_web("query", "").await;
    for query in [
        "?state=Fine",
        "?page=0",
        "?colour=red",
        "?namespace=%3Cb%3E",
    ] {
        for path in ["/", "/status.json"] {
            let answer = request(&controller, "GET", &format!("{path}{query}")).await;
            assert_eq!(answer.status, 400, "{path}{query}");
            assert!(!answer.body.contains("<b>"), "{}", answer.body);
        }
    }
    let refused = request(&controller, "GET", "/status.json?state=Fine").await;
    let refused = refused.json()["error"].to_string();
    assert!(
        refused.contains("NotConverging"),
        "it says what is allowed: {refused}"
    );
}

#[tokio::test]
async fn only_reading_is_possible_and_nothing_is_kept_or_framed() {
    let (_world, controller) = World::with_web("reading", "").await;
    for path in ["/", "/status.json"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = request(&controller, method, path).await;
            assert_eq!(
                (answer.status, &*answer.headers["allow"]),
                (405, "GET, HEAD")
            );
        }
        let [get, head] = [
            request(&controller, "GET", path).await,
            request(&controller, "HEAD", path).await,
        ];
        assert_eq!((get.status, head.status, &*head.body), (200, 200, ""));
        let policy = &get.headers["content-security-policy"];
        assert!(
            policy.starts_with("default-src 'none'; style-src 'unsafe-inline';"),
            "{policy}"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(get.headers[name], value);
        }
        assert_eq!(get.headers["content-type"], head.headers["content-type"]);
    }
    let answer = request(&controller, "GET", "/other").await;
    assert_eq!(answer.status, 404);
}

/// Far longer than an answer takes.
const READING: Duration = Duration::from_secs(2);

#[tokio::test]
async fn who_does_not_read_the_answer_keeps_nobody_from_stopping() {
    let (_world, controller) = World::with_web("unread", "").await;
    let url = controller.url();
    let address = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = b"GET /status.json HTTP/1.1\r\nhost: a\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let begun = std::time::Instant::now();
    assert_eq!(controller.stop().await, Some(0));
    assert!(
        begun.elapsed() < READING,
        "{:?}\n{}",
        begun.elapsed(),
        controller.log()
    );
    assert!(!controller.log().contains("some Events were not recorded"));
}
