//! Each way in which a registry fails has its reason, reported everywhere, and rolls nothing out.

use std::sync::{Arc, Mutex};

use kube_autorollout_core::state::{Reason, State};
use kube_autorollout_testbed::{
    image::{Image, Pusher},
    registry::{ALICE, Access, Registry},
    workload,
    workload::eventually,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    harness::{Controller, SOON, World},
    reported::until_reported,
};

/// What a registry answers, until it is given another answer.
#[derive(Clone)]
struct Script(Arc<Mutex<Answer>>);

/// An answer to every question but those for a token, and one to those.
#[derive(Debug, Clone, Copy)]
struct Answer {
    /// Status line and headers.
    head: &'static str,
    /// Spaces that follow it.
    body: usize,
    token: &'static str,
}

impl Answer {
    const fn new(head: &'static str) -> Self {
        Self {
            head,
            body: 0,
            token: "404 Not Found",
        }
    }

    const fn body(self, body: usize) -> Self {
        Self { body, ..self }
    }

    const fn token(self, token: &'static str) -> Self {
        Self { token, ..self }
    }

    /// The bytes to send for a request to `host`; nothing if there is never to be an answer.
    fn bytes(self, request: &str, host: &str) -> Option<Vec<u8>> {
        let of_token = request.contains(" /token?");
        let (head, body) = if of_token {
            (self.token, 0)
        } else {
            (self.head, self.body)
        };
        let head = head.replace('\n', "\r\n").replace("HOST", host);
        let mut bytes =
            format!("HTTP/1.1 {head}\r\ncontent-length: {body}\r\nconnection: close\r\n\r\n")
                .into_bytes();
        if !request.starts_with("HEAD ") {
            bytes.resize(bytes.len() + body, b' ');
        }
        (!head.is_empty()).then_some(bytes)
    }
}

impl Script {
    fn answer(&self, answer: Answer) {
        *self.0.lock().expect("no panic") = answer;
    }

    /// Answers for ever.
    async fn serve(self, listener: TcpListener) {
        let host = listener.local_addr().expect("an address").to_string();
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(self.clone().reply(stream, host.clone()));
        }
    }

    async fn reply(self, mut stream: TcpStream, host: String) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let answer = *self.0.lock().expect("no panic");
        match answer.bytes(&String::from_utf8_lossy(&request), &host) {
            // A client that has left needs no answer.
            Some(bytes) => drop(stream.write_all(&bytes).await),
            None => std::future::pending().await,
        }
    }
}

/// A manifest that does not report its digest, so that it is read.
const UNNAMED: &str = "200 OK\ncontent-type: application/vnd.oci.image.index.v1+json";

/// What a registry answers, and the reason that follows from it.
const ANSWERS: &[(Answer, Reason)] = &[
    (Answer::new("404 Not Found"), Reason::TagNotFound),
    // Before the token server, which is the same host: after its failures the host is left alone for a moment.
    (Answer::new("500 Internal Server Error"), Reason::Server),
    (
        Answer::new("401 Unauthorized\nwww-authenticate: Bearer realm=\"http://HOST/token\"")
            .token("502 Bad Gateway"),
        Reason::TokenServer,
    ),
    (Answer::new("403 Forbidden"), Reason::Denied),
    (
        Answer::new("401 Unauthorized\nwww-authenticate: Basic realm=\"x\""),
        Reason::Unauthorized,
    ),
    (
        Answer::new("401 Unauthorized\nwww-authenticate: Negotiate"),
        Reason::UnsupportedChallenge,
    ),
    (
        Answer::new("307 Temporary Redirect\nlocation: http://10.0.0.1/elsewhere"),
        Reason::RedirectRefused,
    ),
    (
        Answer::new("200 OK\ncontent-type: text/html"),
        Reason::UnsupportedMediaType,
    ),
    (
        Answer::new("200 OK\ncontent-type: application/vnd.docker.distribution.manifest.v1+prettyjws"),
        Reason::Schema1,
    ),
    (
        Answer::new(
            "200 OK\ncontent-type: application/vnd.oci.image.index.v1+json\n\
             docker-content-digest: sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b",
        )
        .body(2),
        Reason::DigestMismatch,
    ),
    (
        Answer::new(UNNAMED).body(4 * 1024 * 1024 + 1),
        Reason::ManifestTooLarge,
    ),
    (
        Answer::new("429 Too Many Requests\nretry-after: 1"),
        Reason::RateLimited,
    ),
];

/// The kinds of errors that are no property of one request: they show when its answer is read.
const BETWEEN_REQUESTS: &[Reason] = &[
    Reason::UnsupportedChallenge,
    Reason::RedirectRefused,
    Reason::UnsupportedMediaType,
    Reason::Schema1,
    Reason::DigestMismatch,
];

/// The Deployment `web` of an image of a registry whose place was taken by a server with a script.
struct Failing {
    world: World,
    controller: Controller,
    script: Script,
    /// Dropped with its files at the end.
    _registry: Registry,
    _server: JoinSet<()>,
}

impl Failing {
    async fn begin(hint: &str, answer: Answer) -> Self {
        let world = World::new(hint).await;
        let registry = world.testbed.start_registry(Access::Plain).await;
        let registry = registry.expect("a registry");
        let pusher = Pusher::new(registry.access_as(ALICE)).expect("a pusher");
        let image = Image::new(world.marker(1));
        pusher.push(&image, "app", "latest").await.expect("pushed");
        let image = format!("{}/app:latest", registry.host());
        let web = workload::Deployment::named("web").container("app", &image);
        world.create(web.labelled()).await;
        world.rolled_out("web").await;
        let controller = world.controller("").await;
        controller.until_all("UpToDate", 1).await;

        registry.stop();
        let script = Script(Arc::new(Mutex::new(answer)));
        let listener = TcpListener::bind(registry.host()).await.expect("its port");
        let mut server = JoinSet::new();
        server.spawn(script.clone().serve(listener));
        Self {
            world,
            controller,
            script,
            _registry: registry,
            _server: server,
        }
    }

    /// The reason is reported everywhere, and where a request failed with it, that is counted.
    async fn is_told(&self, reason: Reason) {
        let (world, controller) = (&self.world, &self.controller);
        until_reported(world, controller, "web", State::Unknown, reason).await;
        let metrics = controller.metrics().await;
        assert_eq!(metrics.states(), [("Unknown".to_owned(), 1)].into());
        let outdated = metrics.value("workload_outdated", &[("name", "web")]);
        assert_eq!(outdated, Some(0.0), "it was up to date when last known");
        let labels = [("result", reason.as_str())];
        let failed = metrics.sum("registry_requests_total", &labels);
        assert_eq!(failed < 1.0, BETWEEN_REQUESTS.contains(&reason), "{reason}");
    }
}

#[tokio::test]
async fn each_way_in_which_a_registry_fails_has_its_reason() {
    let failing = Failing::begin("failing", ANSWERS[0].0).await;
    for (answer, reason) in ANSWERS {
        failing.script.answer(*answer);
        failing.is_told(*reason).await;
    }
    assert_eq!(failing.world.patches(), 0);
    let reported = failing.world.events("web", "RegistryCheckFailed").await;
    for (_, reason) in ANSWERS {
        let word = format!(" {reason}: ");
        let events = reported.iter().filter(|note| note.contains(&word));
        assert_eq!(events.count(), 1, "{reason}: {reported:?}");
    }
}

#[tokio::test]
async fn a_registry_that_never_answers_is_reported_after_three_quarters_of_a_minute() {
    let failing = Failing::begin("silent", Answer::new("")).await;
    let timed_out = eventually(2 * SOON, "a time-out", async || {
        let metrics = failing.controller.metrics().await;
        let labels = [("result", "Timeout")];
        (metrics.sum("registry_requests_total", &labels) >= 1.0)
            .then_some(())
            .ok_or_else(|| metrics.summary())
    });
    timed_out.await.unwrap_or_else(|error| panic!("{error}"));
    failing.is_told(Reason::Timeout).await;
    assert_eq!(failing.world.patches(), 0);

    // It answers again, without a restart of the controller.
    failing.script.answer(Answer::new("404 Not Found"));
    failing.is_told(Reason::TagNotFound).await;
}
