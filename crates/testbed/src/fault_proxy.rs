//! A proxy before a registry with faults on request: it refuses, delays, withholds and forges answers.

mod forgery;
mod manifest_request;
mod realm;
mod refusal;

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{sync::watch, task::JoinSet, time::sleep};

pub use forgery::Forgery;
pub use manifest_request::TagAnswer;

use crate::{
    clock::now,
    locked::locked,
    relay::{self, Answer, NoAnswer, Relay, Upstream},
};
use manifest_request::ManifestRequest;
use realm::Realm;

/// What is done with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are passed on.
    Healthy,
    /// They are passed on later.
    Slow(Duration),
    /// They hang until the mode changes, and get no answer then.
    Silent,
    /// They are answered with this status.
    Refuses(StatusCode),
    /// Manifests are refused by their digests, with 403, and answered by their tags.
    RefusesDigests,
    /// Requests of controllers for blobs hang until the mode changes, and get no answer then.
    WithholdsBlobs,
    /// Answers about manifests are forged. None of the forgeries can be taken for a push, as none can be verified.
    Forges(Forgery),
}

/// Passes requests on to a registry that speaks plain HTTP, as far as its mode and its rules let it. It ends when it is
/// dropped.
pub struct FaultProxy {
    host: String,
    state: Arc<State>,
    _tasks: JoinSet<()>, // dropping it stops them
}

struct State {
    upstream: Upstream,
    mode: watch::Sender<Mode>,
    rules: Mutex<Rules>,
    realm: OnceLock<Realm>,
    answers: Mutex<Vec<TagAnswer>>,
    requests: AtomicUsize,
}

/// What is refused in every mode.
#[derive(Debug, Default)]
struct Rules {
    /// Whether answers have the headers of Artifactory.
    artifactory: bool,
    /// Repositories of which everything is refused.
    denied: BTreeSet<String>,
    /// Digests of manifests that are refused.
    blocked: BTreeSet<String>,
}

impl FaultProxy {
    /// Listens on a free port of loopback, healthy at first.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn start(registry: SocketAddr) -> io::Result<Self> {
        let state = Arc::new(State {
            upstream: Upstream::new(registry),
            mode: watch::Sender::new(Mode::Healthy),
            rules: Mutex::default(),
            realm: OnceLock::new(),
            answers: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let (host, tasks) = relay::listen(Arc::clone(&state)).await?;
        Ok(Self {
            host,
            state,
            _tasks: tasks,
        })
    }

    /// `127.0.0.1:<port>`, as it stands in image references.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on, what is done with requests.
    pub fn set(&self, mode: Mode) {
        self.state.mode.send_replace(mode);
    }

    /// From now on every answer has the headers by which Artifactory is known (`X-JFrog-Version` and others).
    pub fn send_artifactory_headers(&self) {
        locked(&self.state.rules).artifactory = true;
    }

    /// Refuses everything of one repository, with 403 and a body that says so.
    pub fn deny(&self, repository: &str) {
        let mut rules = locked(&self.state.rules);
        rules.denied.insert(repository.to_owned());
    }

    /// Takes [`FaultProxy::deny`] back.
    pub fn permit(&self, repository: &str) {
        locked(&self.state.rules).denied.remove(repository);
    }

    /// Refuses one manifest by its digest, with 403 and the body of a policy of Xray. Its tags are answered as before.
    pub fn block(&self, digest: &str) {
        let mut rules = locked(&self.state.rules);
        rules.blocked.insert(digest.to_owned());
    }

    /// Takes [`FaultProxy::block`] back.
    pub fn unblock(&self, digest: &str) {
        locked(&self.state.rules).blocked.remove(digest);
    }

    /// From now on a token is needed, which a server on another port gives to everybody, good for so long. Once is
    /// enough: the lifetime of the first time stays.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn require_tokens(&self, lifetime: Duration) -> io::Result<()> {
        let realm = Realm::start(lifetime).await?;
        // An error means that there is one, and this one ends
        drop(self.state.realm.set(realm));
        Ok(())
    }

    /// Moves the token server of [`FaultProxy::require_tokens`] to another port. Nobody listens on the one before, and tokens
    /// stay good.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn move_realm(&self) -> io::Result<()> {
        match self.state.realm.get() {
            Some(realm) => realm.relocate().await,
            None => Ok(()),
        }
    }

    /// How many requests came, whatever was done with them.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// All true answers about tags, in the order in which they were given.
    pub fn tag_answers(&self) -> Vec<TagAnswer> {
        locked(&self.state.answers).clone()
    }
}

impl Relay for State {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = self.unmarked(request).await?;
        if locked(&self.rules).artifactory {
            refusal::mark(response.headers_mut());
        }
        Ok(response)
    }
}

impl State {
    async fn unmarked(&self, request: Request<Incoming>) -> Answer {
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
        let response = self.upstream.answer(head, body, &target).await?;
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
        locked(&self.answers).extend(asked.tag_answer(&response, at));
        Ok(response)
    }

    /// No answer, once the mode is another.
    async fn withheld(&self, while_it_is: Mode) -> Answer {
        let mut modes = self.mode.subscribe();
        drop(modes.wait_for(|mode| *mode != while_it_is).await);
        Err(NoAnswer)
    }

    /// What is answered to a request that the rules refuse.
    fn refused(
        &self,
        mode: Mode,
        path: &str,
        asked: Option<&ManifestRequest>,
    ) -> Option<Response<Full<Bytes>>> {
        let rules = locked(&self.rules);
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
    let agent = request.headers().get(http::header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    agent.is_some_and(|agent| agent.starts_with("kube-autorollout/"))
        && request.uri().path().contains("/blobs/")
}

#[cfg(test)]
mod tests;
