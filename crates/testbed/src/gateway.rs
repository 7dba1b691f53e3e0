//! A gateway in front of a real API server that withholds or changes single responses: those of a cluster of another
//! version, and those that a real server of this version cannot be made to give.

mod answer;
mod documents;
mod rules;

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, StreamBody};
use hyper::body::Incoming;
use kube::{Client, client, config::KubeconfigError};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{sync::watch, time::sleep};

use crate::{
    control_plane,
    server::{Handler, NoResponse, Outcome, Server},
};
use answer::{Body, BoxedFrames, refused, unavailable};
use documents::{Documents, documents};
use rules::Rules;

pub use rules::Loss;

/// Why the gateway could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port was free.
    #[error("could not open a port for the gateway")]
    Port(#[from] io::Error),
    /// The kubeconfig could not be used.
    #[error("could not read the gateway's kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// The client could not be built.
    #[error("could not make the gateway's client")]
    Client(#[source] Box<kube::Error>),
}

/// Forwards requests to the API server as one user, over plain HTTP on its own side, until it is dropped.
pub struct Gateway {
    url: String,
    state: Arc<State>,
    _server: Server,
}

struct State {
    client: Client,
    rules: Arc<Mutex<Rules>>,
    delivering: watch::Sender<bool>,
    answering: watch::Sender<bool>,
    away: watch::Sender<bool>,
    hanging: watch::Sender<bool>,
}

impl Gateway {
    /// Listens on a free port of loopback; all clients have the rights of the kubeconfig's user.
    ///
    /// # Errors
    ///
    /// When no port is free, or the kubeconfig cannot be used.
    pub async fn start(kubeconfig: &Path) -> Result<Self, Error> {
        let config = control_plane::config(kubeconfig).await?;
        let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
        let state = Arc::new(State {
            client,
            rules: Arc::default(),
            delivering: watch::Sender::new(true),
            answering: watch::Sender::new(true),
            away: watch::Sender::new(false),
            hanging: watch::Sender::new(false),
        });
        let server = Server::http(Arc::clone(&state)).await?;
        Ok(Self {
            url: format!("http://{}", server.host()),
            state,
            _server: server,
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether watches deliver events, those that were held back included: watches of a busy API server may be silent for a
    /// while.
    pub fn deliver_watches(&self, delivering: bool) {
        self.state.delivering.send_replace(delivering);
    }

    /// Whether responses to patches are forwarded; those that were held back are forwarded, too.
    pub fn answer_patches(&self, answering: bool) {
        self.state.answering.send_replace(answering);
    }

    /// Loses the response to the next patch, after those of earlier calls.
    pub fn lose_patch(&self, loss: Loss) {
        self.state.rules.lock().losses.push_back(loss);
    }

    /// Delays responses to requests for objects of this kind, except for watches.
    pub fn delay(&self, plural: &str, delay: Duration) {
        let mut rules = self.state.rules.lock();
        rules.delays.insert(plural.to_owned(), delay);
    }

    /// Whether no API server is behind the gateway: it responds with 503, as a load balancer does, and open responses end.
    pub fn go_away(&self, away: bool) {
        self.state.away.send_replace(away);
    }

    /// Whether new requests hang; those that hang go on when it is reverted.
    pub fn hang(&self, hanging: bool) {
        self.state.hanging.send_replace(hanging);
    }

    /// Sends `Retry-After` while the API server is away.
    pub fn ask_to_wait(&self, seconds: u32) {
        self.state.rules.lock().retry_after = Some(seconds);
    }

    /// Whether the API server forbids everything, as it does at its start before it has read the roles.
    pub fn forbid(&self, forbidding: bool) {
        self.state.rules.lock().forbidding = forbidding;
    }

    /// From now on the API server does not have a kind, by its plural.
    pub fn lack(&self, plural: &str) {
        let mut rules = self.state.rules.lock();
        rules.lacking.insert(plural.to_owned());
    }

    /// Reverts [`Gateway::lack`].
    pub fn have(&self, plural: &str) {
        self.state.rules.lock().lacking.remove(plural);
    }

    /// From now on an object of this kind has `value` where the JSON pointer points.
    pub fn change(&self, plural: &str, name: &str, pointer: &str, value: Value) {
        let key = (plural.to_owned(), name.to_owned());
        let change = (pointer.to_owned(), value);
        self.state.rules.lock().changes.insert(key, change);
    }

    /// Reverts [`Gateway::change`] for later responses.
    pub fn leave(&self, plural: &str, name: &str) {
        let key = (plural.to_owned(), name.to_owned());
        self.state.rules.lock().changes.remove(&key);
    }
}

impl Handler<Body> for State {
    async fn respond(&self, request: Request<Incoming>) -> Outcome<Body> {
        if *self.away.borrow() {
            return Ok(unavailable(self.rules.lock().retry_after));
        }
        // An error means that the gateway is gone
        drop(self.hanging.subscribe().wait_for(|hanging| !hanging).await);
        self.forward(request).await
    }
}

impl State {
    async fn forward(&self, request: Request<Incoming>) -> Outcome<Body> {
        let query = request.uri().query().unwrap_or_default();
        let watches = query.contains("watch=");
        let plural = plural(request.uri().path()).unwrap_or_default().to_owned();
        if self.rules.lock().forbidding {
            let message = "the user cannot do this: RBAC: role not found";
            return Ok(refused(StatusCode::FORBIDDEN, "Forbidden", message));
        }
        if self.rules.lock().lacking.contains(&plural) {
            let message = "the server could not find the requested resource";
            return Ok(refused(StatusCode::NOT_FOUND, "NotFound", message));
        }
        let patches = request.method() == Method::PATCH;
        let delay = self.rules.lock().delays.get(&plural).copied();
        let delay = delay.filter(|_| !watches).unwrap_or_default();
        let (mut head, body) = request.into_parts();
        // The client adds its own
        for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH] {
            head.headers.remove(name);
        }
        let body = body.collect().await.map_err(|_| NoResponse)?.to_bytes();
        let send = || {
            let body = client::Body::from(body.to_vec());
            self.client.send(Request::from_parts(head.clone(), body))
        };
        let loss = patches.then(|| self.rules.lock().losses.pop_front());
        let loss = loss.flatten();
        if let Some(Loss::Withheld(status)) = loss {
            return Ok(refused(status, "", "the patch is lost"));
        }
        let mut response = send().await;
        sleep(delay).await;
        if patches {
            // An error means that the gateway is gone
            drop(self.answering.subscribe().wait_for(|on| *on).await);
            match loss {
                Some(Loss::Status(status)) => {
                    return Ok(refused(status, "", "the response is lost"));
                }
                Some(Loss::Broken) => return Err(NoResponse),
                Some(Loss::Repeated) => response = send().await,
                Some(Loss::Withheld(_)) | None => {}
            }
        }
        Ok(match response {
            Ok(response) => self.changed(response, plural, watches),
            Err(error) => refused(StatusCode::BAD_GATEWAY, "InternalError", &error.to_string()),
        })
    }

    /// The response with the changes of the rules.
    fn changed(
        &self,
        response: Response<client::Body>,
        plural: String,
        watches: bool,
    ) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        let frames = documents(Documents {
            body,
            rest: BytesMut::new(),
            plural,
            rules: Arc::clone(&self.rules),
            delivering: watches.then(|| self.delivering.subscribe()),
            away: self.away.subscribe(),
        });
        let body = StreamBody::new(Box::pin(frames) as BoxedFrames);
        Response::from_parts(head, Either::Right(body))
    }
}

/// The plural in a path of any group.
fn plural(path: &str) -> Option<&str> {
    let mut parts = path.strip_prefix('/')?.split('/');
    match parts.next()? {
        "api" => parts.next()?,
        "apis" => parts.nth(1)?,
        _ => return None,
    };
    match parts.next()? {
        "namespaces" => parts.nth(1),
        plural => Some(plural),
    }
}
