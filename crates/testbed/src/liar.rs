//! A way to a registry that can be told to refuse, to dawdle and to lie.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER, USER_AGENT,
        WWW_AUTHENTICATE,
    },
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use jiff::Timestamp;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};

use crate::image::digest_of;

const DIGEST: &str = "docker-content-digest";

/// A media type that no manifest has.
const NO_MANIFEST: &str = "application/vnd.example.recipe+json";

/// What a gateway in trouble, or a login page, sends in the place of an answer.
const PAGE: &str = "<html><body>Sign in</body></html>";

/// What is done with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// They are passed on.
    Honest,
    /// They are passed on later.
    Slow(Duration),
    /// They hang until the mood changes, and get no answer then.
    Silent,
    /// They are answered with this status.
    Refuses(StatusCode),
    /// Answers about manifests are forged. None of the lies can be taken for a push, as none can be verified.
    Lies(Lie),
}

/// A forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A digest of which the registry has nothing.
    Digest,
    /// Other bytes than those of the digest.
    Content,
    /// Half of the bytes.
    Truncated,
    /// A media type of something else.
    MediaType,
    /// A web page.
    Page,
}

impl Lie {
    /// Whether the digest of a tag is not told. The others lie about what is behind it.
    const fn hides_the_digest(self) -> bool {
        matches!(self, Self::Digest | Self::Page)
    }
}

/// A digest that a client was told of a tag, as the registry had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest.
    pub digest: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// When the request came.
    pub at: Timestamp,
}

/// Passes requests on to a registry that speaks plain HTTP, as far as its mood lets it. It ends when it is dropped.
pub struct Liar {
    host: String,
    state: Arc<State>,
    _tasks: JoinSet<()>, // dropping it stops them
}

struct State {
    registry: String,
    client: Client<HttpConnector, Full<Bytes>>,
    mood: watch::Sender<Mood>,
    told: Mutex<Vec<Told>>,
}

/// There is no answer, and the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Liar {
    /// Listens on a free port of loopback, honest at first.
    ///
    /// # Errors
    ///
    /// When no port is to be had.
    pub async fn start(registry: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = listener.local_addr()?.to_string();
        let state = Arc::new(State {
            registry: registry.to_string(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            mood: watch::Sender::new(Mood::Honest),
            told: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&state)));
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
    pub fn set(&self, mood: Mood) {
        self.state.mood.send_replace(mood);
    }

    /// All true answers about tags, in the order in which they were given.
    pub fn told(&self) -> Vec<Told> {
        self.state.told().clone()
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(|request| state.answer(request));
                    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    drop(served.await); // what went wrong is the client's to see
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
        let at = now();
        let mood = *self.mood.borrow();
        match mood {
            Mood::Silent => {
                let mut moods = self.mood.subscribe();
                drop(moods.wait_for(|mood| *mood != Mood::Silent).await);
                return Err(NoAnswer);
            }
            Mood::Slow(delay) => sleep(delay).await,
            Mood::Refuses(status) => return Ok(refusal(status)),
            Mood::Honest | Mood::Lies(_) => {}
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let target = head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str());
        let uri: Uri = format!("http://{}{target}", self.registry)
            .parse()
            .map_err(|_| NoAnswer)?;
        let asked = Question::read(&head);
        let mut passed_on = Request::from_parts(head, Full::new(body));
        *passed_on.uri_mut() = uri;
        let response = self.client.request(passed_on).await.map_err(|_| NoAnswer)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let response = Response::from_parts(head, Full::new(body.clone()));
        let Some(asked) = asked else {
            return Ok(response);
        };
        let response = match mood {
            Mood::Lies(lie) if response.status() == StatusCode::OK => {
                let forged = forged(lie, &asked, response, &body);
                if lie.hides_the_digest() {
                    return Ok(forged);
                }
                forged
            }
            _ => response,
        };
        self.told().extend(asked.told(&response, at));
        Ok(response)
    }

    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was asked about a manifest.
struct Question {
    method: Method,
    repository: String,
    reference: String,
    user_agent: String,
    /// The digest that the client has.
    known: Option<String>,
}

impl Question {
    fn read(head: &http::request::Parts) -> Option<Self> {
        let (repository, reference) = head
            .uri
            .path()
            .strip_prefix("/v2/")?
            .split_once("/manifests/")?;
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        Some(Self {
            method: head.method.clone(),
            repository: repository.to_owned(),
            reference: reference.to_owned(),
            user_agent: text(USER_AGENT).unwrap_or_default().to_owned(),
            known: text(IF_NONE_MATCH).map(|tag| tag.trim_matches('"').to_owned()),
        })
    }

    /// What the answer tells of a tag.
    fn told(self, response: &Response<Full<Bytes>>, at: Timestamp) -> Option<Told> {
        let digest = match response.status() {
            StatusCode::OK => response.headers().get(DIGEST)?.to_str().ok()?.to_owned(),
            StatusCode::NOT_MODIFIED => self.known?,
            _ => return None,
        };
        (!self.reference.contains(':')).then_some(Told {
            repository: self.repository,
            tag: self.reference,
            digest,
            user_agent: self.user_agent,
            at,
        })
    }
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let header = match status {
        StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, r#"Basic realm="registry""#)),
        StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, "2")),
        _ => None,
    };
    if let Some((name, value)) = header {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn forged(
    lie: Lie,
    asked: &Question,
    response: Response<Full<Bytes>>,
    body: &Bytes,
) -> Response<Full<Bytes>> {
    let (mut head, honest) = response.into_parts();
    let other = |bytes: Bytes| match asked.method {
        Method::GET => Full::new(bytes),
        _ => Full::default(),
    };
    let body = match lie {
        Lie::Digest => {
            let digest = digest_of(format!("no {}", asked.reference).as_bytes()).to_string();
            if let (Ok(digest), Ok(tag)) = (
                HeaderValue::from_str(&digest),
                HeaderValue::from_str(&format!("\"{digest}\"")),
            ) {
                head.headers.insert(DIGEST, digest);
                head.headers.insert(ETAG, tag);
            }
            honest
        }
        Lie::Content => other([body.as_ref(), b" "].concat().into()),
        Lie::Truncated => other(body.slice(..body.len() / 2)),
        Lie::MediaType => {
            let media_type = HeaderValue::from_static(NO_MANIFEST);
            head.headers.insert(CONTENT_TYPE, media_type);
            honest
        }
        Lie::Page => {
            head.headers.remove(DIGEST);
            head.headers.remove(ETAG);
            let media_type = HeaderValue::from_static("text/html");
            head.headers.insert(CONTENT_TYPE, media_type);
            other(Bytes::from_static(PAGE.as_bytes()))
        }
    };
    if asked.method == Method::GET {
        head.headers.remove(CONTENT_LENGTH); // that of what is sent is set
    }
    Response::from_parts(head, body)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server of the outside world, whose time passes"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
