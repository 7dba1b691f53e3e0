//! A gateway before a real API server that withholds or changes single answers: what a cluster of another version would
//! say, and what cannot be had from a real server of this one.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    io,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{
    Client, Config,
    client::Body,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

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
    telling: watch::Sender<bool>,
    answering: watch::Sender<bool>,
    away: watch::Sender<bool>,
    _tasks: JoinSet<()>, // dropping it stops them
}

#[derive(Default)]
struct Rules {
    /// Plurals of kinds that this API server does not have.
    lacking: HashSet<String>,
    /// By plural and name: where an object is changed, and to what.
    changes: HashMap<(String, String), (String, Value)>,
}

impl Gateway {
    /// Listens on a free port of loopback; whoever comes has the rights of the kubeconfig's user.
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
        let (telling, answering) = (watch::Sender::new(true), watch::Sender::new(true));
        let away = watch::Sender::new(false);
        let server = Server {
            client,
            rules: Arc::clone(&rules),
            telling: telling.subscribe(),
            answering: answering.subscribe(),
            away: away.subscribe(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server));
        Ok(Self {
            url,
            rules,
            telling,
            answering,
            away,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether watches tell what happens, and what they held back while they did not: those of a busy API server may be
    /// silent for a while.
    pub fn tell(&self, telling: bool) {
        self.telling.send_replace(telling);
    }

    /// Whether patches are answered once the API server has taken or refused them; those that wait are answered then.
    pub fn answer_patches(&self, answering: bool) {
        self.answering.send_replace(answering);
    }

    /// Whether there is no API server behind the gateway, as a load balancer says it: with 503. What is being answered ends.
    pub fn go_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// From now on the API server does not know a kind of the core group or of `apps`, by its plural.
    pub fn lack(&self, plural: &str) {
        lock(&self.rules).lacking.insert(plural.to_owned());
    }

    /// Takes [`Gateway::lack`] back.
    pub fn have(&self, plural: &str) {
        lock(&self.rules).lacking.remove(plural);
    }

    /// From now on an object of such a kind has this `value` at the place that a JSON pointer names.
    pub fn change(&self, plural: &str, name: &str, pointer: &str, value: Value) {
        let key = (plural.to_owned(), name.to_owned());
        let change = (pointer.to_owned(), value);
        lock(&self.rules).changes.insert(key, change);
    }

    /// Takes [`Gateway::change`] back, for what is sent from now on.
    pub fn leave(&self, plural: &str, name: &str) {
        let key = (plural.to_owned(), name.to_owned());
        lock(&self.rules).changes.remove(&key);
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    client: Client,
    rules: Arc<Mutex<Rules>>,
    telling: watch::Receiver<bool>,
    answering: watch::Receiver<bool>,
    away: watch::Receiver<bool>,
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
                        let message = "no server is available to handle this request";
                        refused(
                            StatusCode::SERVICE_UNAVAILABLE,
                            "ServiceUnavailable",
                            message,
                        )
                    } else {
                        answer(&server, request).await
                    };
                    Ok::<_, Infallible>(answer)
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                drop(connection.await); // the client's end of the matter
            });
        }
        while connections.try_join_next().is_some() {}
    }
}

/// What goes back: something short of our own, or what the API server says, document by document.
type Answer = Either<Full<Bytes>, StreamBody<BoxedFrames>>;

type BoxedFrames = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, kube::Error>> + Send>>;

async fn answer(server: &Server, request: Request<Incoming>) -> Response<Answer> {
    let rules = &server.rules;
    let watches = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch="));
    let telling = watches.then(|| server.telling.clone());
    let plural = plural(request.uri().path()).unwrap_or_default().to_owned();
    if lock(rules).lacking.contains(&plural) {
        let message = "the server could not find the requested resource";
        return refused(StatusCode::NOT_FOUND, "NotFound", message);
    }
    let patches = request.method() == Method::PATCH;
    let (mut head, body) = request.into_parts();
    // The client adds its own
    for name in [header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    let Ok(body) = body.collect().await else {
        return refused(StatusCode::BAD_REQUEST, "BadRequest", "no whole request");
    };
    let body = Body::from(body.to_bytes().to_vec());
    let answered = server.client.send(Request::from_parts(head, body)).await;
    if patches {
        // Without the gateway there is nobody to answer
        drop(
            server
                .answering
                .clone()
                .wait_for(|answering| *answering)
                .await,
        );
    }
    match answered {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
                head.headers.remove(name);
            }
            let rules = Arc::clone(rules);
            let frames = documents(Documents {
                body,
                rest: BytesMut::new(),
                plural,
                rules,
                telling,
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

/// The plural in a path of the core group or of `apps`.
fn plural(path: &str) -> Option<&str> {
    let rest = path
        .strip_prefix("/apis/apps/v1/")
        .or_else(|| path.strip_prefix("/api/v1/"))?;
    let mut parts = rest.split('/');
    match parts.next()? {
        "namespaces" => parts.nth(1),
        plural => Some(plural),
    }
}

fn refused(code: StatusCode, reason: &str, message: &str) -> Response<Answer> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    let mut response = Response::new(Either::Left(Full::from(status.to_string())));
    *response.status_mut() = code;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A list, an object, or the events of a watch, one a line.
struct Documents {
    body: Body,
    /// Of which no line has been made yet.
    rest: BytesMut,
    plural: String,
    rules: Arc<Mutex<Rules>>,
    telling: Option<watch::Receiver<bool>>,
    away: watch::Receiver<bool>,
}

/// Documents as they arrive, changed by the rules as they are when each is passed on.
fn documents(documents: Documents) -> impl Stream<Item = Result<Frame<Bytes>, kube::Error>> + Send {
    stream::try_unfold(documents, async |mut documents| {
        let mut away = documents.away.clone();
        let line = tokio::select! {
            line = documents.next() => line?,
            // An error means that the gateway is gone
            _ = away.wait_for(|away| *away) => None,
        };
        let Some(line) = line else {
            return Ok(None);
        };
        if let Some(telling) = &mut documents.telling {
            // Without the gateway there is nobody to tell
            drop(telling.wait_for(|telling| *telling).await);
        }
        let changed = changed(&line, &documents.plural, &lock(&documents.rules));
        let line = changed.unwrap_or_else(|| line.freeze());
        Ok(Some((Frame::data(line), documents)))
    })
}

impl Documents {
    /// The next line, or the rest of the body.
    async fn next(&mut self) -> Result<Option<BytesMut>, kube::Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.rest.split_to(end + 1)));
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.rest.extend_from_slice(&data);
                }
                None => return Ok((!self.rest.is_empty()).then(|| self.rest.split())),
            }
        }
    }
}

/// A document with the changes of its objects; nothing where there are none.
fn changed(line: &[u8], plural: &str, rules: &Rules) -> Option<Bytes> {
    if rules.changes.keys().all(|(changed, _)| changed != plural) {
        return None;
    }
    let mut document: Value = serde_json::from_slice(line).ok()?;
    for ((_, name), (pointer, value)) in rules.changes.iter().filter(|((of, _), _)| of == plural) {
        for object in objects(&mut document) {
            if object.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
                && let Some(place) = object.pointer_mut(pointer)
            {
                *place = value.clone();
            }
        }
    }
    Some(format!("{document}\n").into())
}

/// The objects of a list, that of an event, or the document itself.
fn objects(document: &mut Value) -> Vec<&mut Value> {
    let has = |key: &str| document.get(key).is_some();
    let (is_list, is_event) = (has("items"), has("object"));
    if is_list {
        let items = document.get_mut("items").and_then(Value::as_array_mut);
        items.into_iter().flatten().collect()
    } else if is_event {
        document.get_mut("object").into_iter().collect()
    } else {
        vec![document]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
