//! Paths and queries.

use std::time::Duration;

use kube_autorollout_hints::{InvalidWait, Route};

fn route<'a>(receiver: &'a str, secret: Option<&'a str>, wait: Option<u64>) -> Route<'a> {
    Route {
        receiver,
        secret,
        wait: wait.map(Duration::from_secs),
    }
}

#[test]
fn a_path_names_the_receiver_and_perhaps_the_secret() {
    for (path, expected) in [
        ("/hooks/ci", Some(route("ci", None, None))),
        ("/hooks/hub/a-b_c", Some(route("hub", Some("a-b_c"), None))),
        ("/hooks/hub/", Some(route("hub", Some(""), None))),
        ("/hooks/hub/a/b", Some(route("hub", Some("a/b"), None))),
        ("/hooks/", None),
        ("/hooks//secret", None),
        ("/hooks", None),
        ("/", None),
        ("/metrics", None),
    ] {
        assert_eq!(Route::parse(path, None), expected.map(Ok), "{path}");
    }
}

#[test]
fn the_query_has_only_the_wait() {
    for (query, seconds) in [
        ("", None),
        ("wait=1s", Some(1)),
        ("wait=120s", Some(120)),
        ("wait=15m", Some(900)),
    ] {
        let parsed = Route::parse("/hooks/ci", Some(query));
        assert_eq!(parsed, Some(Ok(route("ci", None, seconds))), "{query}");
    }
    for query in [
        "wait",
        "wait=",
        "wait=0s",
        "wait=901s",
        "wait=1h",
        "wait=120",
        "wait=1s&a=b",
        "secret=x",
    ] {
        let parsed = Route::parse("/hooks/ci", Some(query));
        assert_eq!(parsed, Some(Err(InvalidWait)), "{query}");
    }
}
