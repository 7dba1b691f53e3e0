//! A proxy in front of a registry that injects faults: it refuses, delays, withholds and forges responses.

mod forgery;
mod manifest_request;
mod realm;
mod refusal;

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};

pub use forgery::Forgery;
pub use manifest_request::TagResponse;

use crate::{
    clock::now,
    relay::{self, Upstream},
    server::{self, Handler, NoResponse, Outcome, Server},
};
use manifest_request::ManifestRequest;
use realm::Realm;

/// How requests are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are forwarded.
    Healthy,
    /// They are forwarded after this delay.
    Slow(Duration),
    /// They hang until the mode changes, and get no response then.
    Silent,
    /// They get a response of this status.
    Refuses(StatusCode),
    /// Requests for manifests by digest are refused with 403; those by tag are forwarded.
    RefusesDigests,
    /// Requests of controllers for blobs hang until the mode changes, and get no response then.
    WithholdsBlobs,
    /// Responses to requests for manifests are forged. None can be mistaken for a push, as none can be verified.
    Forges(Forgery),
}

/// Forwards requests to a registry that speaks plain HTTP, subject to a mode and to rules, until it is dropped.
pub struct FaultProxy {
    server: Server,
    state: Arc<State>,
}

struct State {
    upstream: Upstream,
    mode: watch::Sender<Mode>,
    rules: Mutex<Rules>,
    realm: OnceLock<Realm>,
    answers: Mutex<Vec<TagResponse>>,
    requests: AtomicUsize,
}

/// Rules that hold in every mode.
#[derive(Debug, Default)]
struct Rules {
    /// Whether responses have the headers of Artifactory.
    artifactory: bool,
    /// Repositories that are refused as a whole.
    denied: BTreeSet<String>,
    /// Digests of manifests that are refused.
    blocked: BTreeSet<String>,
}

impl FaultProxy {
    /// Listens on a free port of loopback, in front of the registry with this host and port; healthy at first.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(registry: &str) -> io::Result<Self> {
        let state = Arc::new(State {
            upstream: Upstream::new(registry),
            mode: watch::Sender::new(Mode::Healthy),
            rules: Mutex::default(),
            realm: OnceLock::new(),
            answers: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let server = Server::http(Arc::clone(&state)).await?;
        Ok(Self { server, state })
    }

    /// `127.0.0.1:<port>`, as it stands in image references.
    pub fn host(&self) -> &str {
        self.server.host()
    }

    /// Sets how requests are treated from now on.
    pub fn set(&self, mode: Mode) {
        self.state.mode.send_replace(mode);
    }

    /// From now on every response has the headers that identify Artifactory (`X-JFrog-Version` and others).
    pub fn send_artifactory_headers(&self) {
        self.state.rules.lock().artifactory = true;
    }

    /// Refuses all requests for one repository, with 403 and a body that names it.
    pub fn deny(&self, repository: &str) {
        let mut rules = self.state.rules.lock();
        rules.denied.insert(repository.to_owned());
    }

    /// Reverts [`FaultProxy::deny`].
    pub fn permit(&self, repository: &str) {
        self.state.rules.lock().denied.remove(repository);
    }

    /// Refuses one manifest by its digest, with 403 and the body of a policy of Xray. Requests for its tags are forwarded as
    /// before.
    pub fn block(&self, digest: &str) {
        let mut rules = self.state.rules.lock();
        rules.blocked.insert(digest.to_owned());
    }

    /// Reverts [`FaultProxy::block`].
    pub fn unblock(&self, digest: &str) {
        self.state.rules.lock().blocked.remove(digest);
    }

    /// From now on requests need a token, which a server on another port issues to everybody, with this lifetime. Further
    /// calls change nothing.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn require_tokens(&self, lifetime: Duration) -> io::Result<()> {
        let realm = Realm::start(lifetime).await?;
        // An error means that there is one already
        drop(self.state.realm.set(realm));
        Ok(())
    }

    /// Moves the token server of [`FaultProxy::require_tokens`] to another port and closes the previous one. Tokens stay
    /// valid.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn move_realm(&self) -> io::Result<()> {
        match self.state.realm.get() {
            Some(realm) => realm.relocate().await,
            None => Ok(()),
        }
    }

    /// How many requests were received, in whatever mode.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// All responses to requests for tags that were not forged, oldest first.
    pub fn tag_responses(&self) -> Vec<TagResponse> {
        self.state.answers.lock().clone()
    }
}

impl Handler for State {
    async fn respond(&self, request: Request<Incoming>) -> Outcome {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = self.unmarked(request).await?;
        if self.rules.lock().artifactory {
            refusal::mark(response.headers_mut());
        }
        Ok(response)
    }
}

impl State {
    /// The response without the headers of Artifactory.
    async fn unmarked(&self, request: Request<Incoming>) -> Outcome {
        let at = now();
        let mode = *self.mode.borrow();
        match mode {
            Mode::Silent => return self.withheld(mode).await,
            Mode::WithholdsBlobs if is_blob_of_a_controller(&request) => {
                return self.withheld(mode).await;
            }
            Mode::Slow(delay) => sleep(delay).await,
            Mode::Refuses(status) => return Ok(refusal::status(status)),
            Mode::Healthy | Mode::WithholdsBlobs | Mode::Forges(_) | Mode::RefusesDigests => {}
        }
        let (head, body) = request.into_parts();
        let asked = ManifestRequest::read(&head);
        if let Some(realm) = self.realm.get() {
            let repository = asked.as_ref().map_or("", |asked| &asked.repository);
            if let Some(challenge) = realm.challenge(&head.headers, repository) {
                return Ok(challenge);
            }
        }
        if let Some(refused) = self.refused(mode, head.uri.path(), asked.as_ref()) {
            return Ok(refused);
        }
        let target = relay::target(&head).to_owned();
        let response = self.upstream.send(head, body, &target).await?;
        let Some(asked) = asked else {
            return Ok(response.map(Full::new));
        };
        let response = match mode {
            Mode::Forges(forgery) if response.status() == StatusCode::OK => {
                let forged = forgery.forge(&asked.method, &asked.reference, response);
                if forgery.hides_digest() {
                    return Ok(forged);
                }
                forged
            }
            _ => response.map(Full::new),
        };
        self.answers
            .lock()
            .extend(asked.tag_response(&response, at));
        Ok(response)
    }

    /// Waits until this mode is over, and gives no response.
    async fn withheld(&self, during: Mode) -> Outcome {
        let mut modes = self.mode.subscribe();
        drop(modes.wait_for(|mode| *mode != during).await);
        Err(NoResponse)
    }

    /// The response to a request that the rules refuse.
    fn refused(
        &self,
        mode: Mode,
        path: &str,
        asked: Option<&ManifestRequest>,
    ) -> Option<Response<Full<Bytes>>> {
        let rules = self.rules.lock();
        let is_denied = |repository: &&String| {
            let rest = path.strip_prefix("/v2/")?.strip_prefix(repository.as_str());
            Some(rest?.starts_with('/'))
        };
        let denied = rules
            .denied
            .iter()
            .find(|repository| is_denied(repository) == Some(true));
        if let Some(repository) = denied {
            let method = asked.map_or(http::Method::GET, |asked| asked.method.clone());
            return Some(refusal::denied(&method, repository));
        }
        let asked = asked.filter(|asked| asked.is_by_digest())?;
        let is_blocked = mode == Mode::RefusesDigests || rules.blocked.contains(&asked.reference);
        is_blocked.then(|| refusal::blocked(&asked.method, &asked.repository, &asked.reference))
    }
}

fn is_blob_of_a_controller(request: &Request<Incoming>) -> bool {
    let agent = server::header(request.headers(), http::header::USER_AGENT);
    agent.starts_with("kube-autorollout/") && request.uri().path().contains("/blobs/")
}

#[cfg(test)]
mod tests;
