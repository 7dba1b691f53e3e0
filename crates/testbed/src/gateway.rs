//! A gateway before a real API server that withholds or changes single answers: what a cluster of another version would
//! say, and what cannot be had from a real server of this one.

mod answer;
mod documents;
mod rules;

use std::{
    io,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::BytesMut;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};

use crate::locked::locked;
use answer::{Answer, BoxedFrames, refused, unavailable};
use documents::{Documents, documents};
use rules::Rules;

pub use rules::Loss;

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port was to be had.
    #[error("could not open a port for the gateway")]
    Port(#[from] io::Error),
    /// The kubeconfig could not be used.
    #[error("could not read the gateway's kubeconfig")]
    Kubeconfig(#[from] KubeconfigError),
    /// The client could not be built.
    #[error("could not make the gateway's client")]
    Client(#[source] Box<kube::Error>),
}

/// Passes requests on to the API server, over plain HTTP on this side, as one user. It ends when it is dropped.
pub struct Gateway {
    url: String,
    rules: Arc<Mutex<Rules>>,
    delivering: watch::Sender<bool>,
    answering: watch::Sender<bool>,
    away: watch::Sender<bool>,
    hanging: watch::Sender<bool>,
    _tasks: JoinSet<()>, // dropping it stops them
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Gateway {
    /// Listens on a free port of loopback; all who come have the rights of the kubeconfig's user.
    ///
    /// # Errors
    ///
    /// When no port is to be had, or the kubeconfig cannot be used.
    pub async fn start(kubeconfig: &Path) -> Result<Self, Error> {
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        config.proxy_url = None; // what the environment says is not for loopback
        config.default_retry = false; // to be passed on as it is
        let client = Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let rules = Arc::new(Mutex::new(Rules::default()));
        let (delivering, answering) = (watch::Sender::new(true), watch::Sender::new(true));
        let (away, hanging) = (watch::Sender::new(false), watch::Sender::new(false));
        let server = Server {
            client,
            rules: Arc::clone(&rules),
            delivering: delivering.subscribe(),
            answering: answering.subscribe(),
            away: away.subscribe(),
            hanging: hanging.subscribe(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server));
        Ok(Self {
            url,
            rules,
            delivering,
            answering,
            away,
            hanging,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether watches deliver what happens, and what they held back while they did not: those of a busy API server may be
    /// silent for a while.
    pub fn deliver_watches(&self, delivering: bool) {
        self.delivering.send_replace(delivering);
    }

    /// Whether patches are answered once the API server has taken or refused them; those that wait are answered then.
    pub fn answer_patches(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    /// The answer to the next patch is lost like this, and the one after those for which this was asked before.
    pub fn lose_patch(&self, loss: Loss) {
        locked(&self.rules).losses.push_back(loss);
    }

    /// From now on answers to requests for objects of such a kind, but for watches, are passed on so late.
    pub fn delay(&self, plural: &str, delay: Duration) {
        locked(&self.rules).delays.insert(plural.to_owned(), delay);
    }

    /// Whether there is no API server behind the gateway, as a load balancer says it: with 503. What is being answered ends.
    pub fn go_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Whether requests hang that come from now on; those that hang are answered when they do not any more.
    pub fn hang(&self, hanging: bool) {
        self.hanging.send_replace(hanging);
    }

    /// While it is away, clients are asked to come back after so many seconds.
    pub fn ask_to_wait(&self, seconds: u32) {
        locked(&self.rules).retry_after = Some(seconds);
    }

    /// Whether the API server forbids everything, as one that starts does before it has read its roles.
    pub fn forbid(&self, forbidding: bool) {
        locked(&self.rules).forbidding = forbidding;
    }

    /// From now on the API server does not know a kind, by its plural.
    pub fn lack(&self, plural: &str) {
        locked(&self.rules).lacking.insert(plural.to_owned());
    }

    /// Takes [`Gateway::lack`] back.
    pub fn have(&self, plural: &str) {
        locked(&self.rules).lacking.remove(plural);
    }

    /// From now on an object of such a kind has this `value` at the place that a JSON pointer names.
    pub fn change(&self, plural: &str, name: &str, pointer: &str, value: Value) {
        let key = (plural.to_owned(), name.to_owned());
        let change = (pointer.to_owned(), value);
        locked(&self.rules).changes.insert(key, change);
    }

    /// Takes [`Gateway::change`] back, for what is sent from now on.
    pub fn leave(&self, plural: &str, name: &str) {
        let key = (plural.to_owned(), name.to_owned());
        locked(&self.rules).changes.remove(&key);
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    client: Client,
    rules: Arc<Mutex<Rules>>,
    delivering: watch::Receiver<bool>,
    answering: watch::Receiver<bool>,
    away: watch::Receiver<bool>,
    hanging: watch::Receiver<bool>,
}

async fn serve(listener: TcpListener, server: Server) {
    let mut connections = JoinSet::new();
    loop {
        // An error of `accept` is that of one connection
        if let Ok((stream, _)) = listener.accept().await {
            let server = server.clone();
            connections.spawn(async move {
                let service = service_fn(|request| async {
                    let away = *server.away.borrow();
                    let answer = if away {
                        unavailable(locked(&server.rules).retry_after)
                    } else {
                        let mut hanging = server.hanging.clone();
                        // Without the gateway there is nobody to answer
                        drop(hanging.wait_for(|hanging| !hanging).await);
                        answer(&server, request).await?
                    };
                    Ok::<_, NoAnswer>(answer)
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                drop(connection.await); // the client's end of the matter
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(server: &Server, request: Request<Incoming>) -> Result<Response<Answer>, NoAnswer> {
    let rules = &server.rules;
    let watches = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch="));
    let delivering = watches.then(|| server.delivering.clone());
    let plural = plural(request.uri().path()).unwrap_or_default().to_owned();
    if locked(rules).forbidding {
        let message = "the user cannot do this: RBAC: role not found";
        return Ok(refused(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    if locked(rules).lacking.contains(&plural) {
        let message = "the server could not find the requested resource";
        return Ok(refused(StatusCode::NOT_FOUND, "NotFound", message));
    }
    let patches = request.method() == Method::PATCH;
    let delay = (!watches).then(|| locked(rules).delays.get(&plural).copied());
    let (mut head, body) = request.into_parts();
    // The client adds its own
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
    let send = || {
        let body = Body::from(body.to_vec());
        server.client.send(Request::from_parts(head.clone(), body))
    };
    let loss = patches.then(|| locked(rules).losses.pop_front()).flatten();
    if let Some(Loss::Withheld(status)) = loss {
        return Ok(refused(status, "", "the patch is lost"));
    }
    let mut answered = send().await;
    sleep(delay.flatten().unwrap_or_default()).await;
    if patches {
        let mut answering = server.answering.clone();
        // Without the gateway there is nobody to answer
        drop(answering.wait_for(|answering| *answering).await);
        match loss {
            Some(Loss::Status(status)) => return Ok(refused(status, "", "the answer is lost")),
            Some(Loss::Broken) => return Err(NoAnswer),
            Some(Loss::Repeated) => answered = send().await,
            Some(Loss::Withheld(_)) | None => {}
        }
    }
    Ok(passed_on(server, plural, delivering, answered))
}

fn passed_on(
    server: &Server,
    plural: String,
    delivering: Option<watch::Receiver<bool>>,
    answered: Result<Response<Body>, kube::Error>,
) -> Response<Answer> {
    match answered {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
                head.headers.remove(name);
            }
            let rules = Arc::clone(&server.rules);
            let frames = documents(Documents {
                body,
                rest: BytesMut::new(),
                plural,
                rules,
                delivering,
                away: server.away.clone(),
            });
            let body = StreamBody::new(Box::pin(frames) as BoxedFrames);
            Response::from_parts(head, Either::Right(body))
        }
        Err(error) => {
            let message = error.to_string();
            refused(StatusCode::BAD_GATEWAY, "InternalError", &message)
        }
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
