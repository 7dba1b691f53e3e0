//! The proxy that is every host of the world, and what is asked of these hosts.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    ACR, ECR, ECR_PUBLIC, GAR,
    answer::{Answer, failure},
    asked::{Asked, Request, Step, Via},
    aws, azure, google,
    registry::{login, refusal},
    state::State,
};
use crate::{certificates::Authority, locked::locked};

/// There is no answer, and the connection ends.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
pub(super) struct NoAnswer;

/// All hosts.
pub(super) struct Server {
    authority: Authority,
    /// By host.
    acceptors: Mutex<HashMap<String, TlsAcceptor>>,
    registry: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(super) fn new(
        authority: Authority,
        registry: SocketAddr,
        state: Arc<Mutex<State>>,
    ) -> Self {
        Self {
            authority,
            acceptors: Mutex::default(),
            registry,
            client: Client::builder(TokioExecutor::new()).build_http(),
            state,
        }
    }

    /// Serves connections: of clients of a proxy, or of those that ask directly.
    pub(super) async fn run(self: Arc<Self>, listener: TcpListener, is_proxy: bool) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let via = if is_proxy { Via::Forward } else { Via::Local };
                    connections.spawn(Arc::clone(&self).serve(stream, via, None));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    async fn serve<S>(self: Arc<Self>, stream: S, via: Via, tunnelled: Option<String>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let tunnels = Arc::new(Mutex::new(JoinSet::new()));
        let service = service_fn(|request: http::Request<Incoming>| {
            let (server, tunnelled) = (Arc::clone(&self), tunnelled.clone());
            let tunnels = Arc::clone(&tunnels);
            async move {
                if request.method() == Method::CONNECT {
                    return Ok(server.connect(request, &tunnels));
                }
                server.answer(request, via, tunnelled).await
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        drop(connection.with_upgrades().await); // what went wrong is the client's to see
        let mut tunnels = std::mem::take(&mut *locked(&tunnels));
        while tunnels.join_next().await.is_some() {}
    }

    /// Ends the TLS of a tunnel to any host, and answers for it.
    fn connect(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        tunnels: &Mutex<JoinSet<()>>,
    ) -> Answer {
        let host = request.uri().host().unwrap_or_default().to_owned();
        locked(tunnels).spawn(async move {
            let Ok(upgraded) = upgrade::on(request).await else {
                return;
            };
            let Some(acceptor) = self.acceptor(&host) else {
                return;
            };
            if let Ok(stream) = acceptor.accept(TokioIo::new(upgraded)).await {
                // In a box, as it is the future that it is in.
                let served: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
                    Box::pin(self.serve(stream, Via::Tunnel, Some(host)));
                served.await;
            }
        });
        Response::new(Full::default())
    }

    fn acceptor(&self, host: &str) -> Option<TlsAcceptor> {
        let mut acceptors = locked(&self.acceptors);
        if let Some(acceptor) = acceptors.get(host) {
            return Some(acceptor.clone());
        }
        let identity = self.authority.issue_for(host).ok()?;
        let settings = Arc::new(identity.server_settings().ok()?);
        let acceptor = TlsAcceptor::from(settings);
        acceptors.insert(host.to_owned(), acceptor.clone());
        Some(acceptor)
    }

    async fn answer(
        &self,
        request: http::Request<Incoming>,
        via: Via,
        tunnelled: Option<String>,
    ) -> Result<Answer, NoAnswer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let named = head.uri.authority().map(ToString::to_string);
        let host = head.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).map(str::to_owned);
        let request = Request {
            via,
            host: tunnelled.or(named).or(host).unwrap_or_default(),
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
        };
        let step = step(&request);
        let decided = self.decide(step, &request);
        let answered = match decided {
            Decided::Answer(answer) => Ok(answer),
            Decided::Nothing => Err(NoAnswer),
            Decided::Registry => self.registry(&request).await,
        };
        let status = answered
            .as_ref()
            .map_or(0, |answer| answer.status().as_u16());
        self.note(step, &request, status);
        answered
    }

    fn decide(&self, step: Option<Step>, request: &Request) -> Decided {
        let mut state = locked(&self.state);
        let Some(step) = step else {
            return match refusal(request, &state) {
                Some(answer) => Decided::Answer(answer),
                None => Decided::Registry,
            };
        };
        let is_registrys = matches!(step, Step::AcrToken | Step::RegistryToken);
        if state.away && !is_registrys {
            return Decided::Nothing;
        }
        if let Some(answer) = failure(step, request, &state) {
            return Decided::Answer(answer);
        }
        let state = &mut *state;
        Decided::Answer(match step {
            Step::AssumeRoleWithWebIdentity | Step::AssumeRole | Step::GetCallerIdentity => {
                aws::sts(step, request, state)
            }
            Step::EcrToken | Step::EcrPublicToken => aws::ecr(step, request, state),
            Step::PodIdentity => aws::agent(request, state),
            Step::Entra => azure::entra(request, state),
            Step::AcrExchange => azure::exchange(request, state),
            Step::AcrToken => azure::token(request, state),
            Step::Metadata | Step::MetadataEmail => google::metadata(step, request, state),
            Step::SubjectToken => google::subject(request, state),
            Step::GoogleSts => google::sts(request, state),
            Step::Impersonation => google::impersonate(request, state),
            Step::RegistryToken => {
                google::registry_token(&request.host, login(request.header("authorization")), state)
            }
        })
    }

    /// What the registry behind has.
    async fn registry(&self, request: &Request) -> Result<Answer, NoAnswer> {
        let target = format!("http://{}{}", self.registry, request.path);
        let uri: Uri = target.parse().map_err(|_| NoAnswer)?;
        let mut asked = http::Request::new(Full::default());
        *asked.method_mut() = request.method.clone();
        *asked.uri_mut() = uri;
        if let Some(accept) = request.headers.get(header::ACCEPT) {
            asked.headers_mut().insert(header::ACCEPT, accept.clone());
        }
        let response = self.client.request(asked).await.map_err(|_| NoAnswer)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| NoAnswer)?.to_bytes();
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = head.status;
        copy(&head.headers, answer.headers_mut());
        Ok(answer)
    }

    fn note(&self, step: Option<Step>, request: &Request, status: u16) {
        let mut state = locked(&self.state);
        let text = request.text();
        let own = [
            super::SERVICE_ACCOUNT_TOKEN,
            super::AGENT_TOKEN,
            super::STATIC_KEYS.1,
        ];
        let secrets = state.secrets();
        let mut secrets = secrets.iter().map(String::as_str).chain(own);
        let target = match &*request.query {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        };
        let has_secret = secrets.any(|secret| text.contains(secret));
        state.asked.push(Asked {
            via: request.via,
            host: request.host.clone(),
            target,
            step,
            status,
            has_secret,
        });
    }
}

/// What becomes of a request.
enum Decided {
    Answer(Answer),
    Nothing,
    Registry,
}

/// The step that a request is, by host and path; nothing: it is for a registry, or for nobody.
fn step(request: &Request) -> Option<Step> {
    const ACCOUNT: &str = "/computeMetadata/v1/instance/service-accounts/default/";
    let target = request.header("x-amz-target");
    match (&*request.host, &*request.path) {
        ("sts.eu-central-1.amazonaws.com", _) => aws::sts_step(request),
        ("api.ecr.eu-central-1.amazonaws.com", _) => Some(Step::EcrToken),
        ("api.ecr-public.us-east-1.amazonaws.com", _) => Some(Step::EcrPublicToken),
        ("login.microsoftonline.com", _) => Some(Step::Entra),
        ("sts.googleapis.com", _) => Some(Step::GoogleSts),
        ("iamcredentials.googleapis.com", _) => Some(Step::Impersonation),
        (ACR, "/oauth2/exchange") => Some(Step::AcrExchange),
        (ACR, "/oauth2/token") => Some(Step::AcrToken),
        (GAR, "/v2/token") | (ECR_PUBLIC, "/token/") => Some(Step::RegistryToken),
        (ECR | ECR_PUBLIC | GAR | ACR, _) => None,
        _ if request.via == Via::Tunnel => None,
        (_, "/v1/credentials") => Some(Step::PodIdentity),
        (_, "/subject-token") => Some(Step::SubjectToken),
        (_, path) if path.starts_with(ACCOUNT) => match path.strip_prefix(ACCOUNT) {
            Some("token") => Some(Step::Metadata),
            _ => Some(Step::MetadataEmail),
        },
        _ if target.starts_with("AmazonEC2ContainerRegistry") => Some(Step::EcrToken),
        _ if target.starts_with("SpencerFrontendService") => Some(Step::EcrPublicToken),
        _ => aws::sts_step(request),
    }
}

fn copy(from: &HeaderMap, to: &mut HeaderMap) {
    for name in [
        "content-type",
        "content-length",
        "docker-content-digest",
        "etag",
        "docker-distribution-api-version",
    ] {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}
