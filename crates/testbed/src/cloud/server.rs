//! The proxy that stands for every host, and the dispatch of requests to the endpoints of these hosts.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, upgrade};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    ACR, ECR, ECR_PUBLIC, GAR,
    answer::{Answer, failure},
    aws, azure, google,
    registry::refusal,
    request::{RecordedRequest, Request, Step, Via},
    state::State,
};
use crate::{
    certificates::Authority,
    relay::Upstream,
    server::{self, Handler, NoResponse, Outcome, Server, basic_login},
};

/// All hosts.
pub(super) struct Hosts {
    authority: Authority,
    /// By host.
    acceptors: Mutex<HashMap<String, TlsAcceptor>>,
    registry: Upstream,
    state: Arc<Mutex<State>>,
}

/// A connection to one of the ports, or within a tunnel of another.
struct Connection {
    hosts: Arc<Hosts>,
    via: Via,
    /// The host that a tunnel is for.
    host: Option<String>,
    tunnels: Mutex<JoinSet<()>>,
}

impl Hosts {
    pub(super) fn new(
        authority: Authority,
        registry: SocketAddr,
        state: Arc<Mutex<State>>,
    ) -> Self {
        Self {
            authority,
            acceptors: Mutex::default(),
            registry: Upstream::new(&registry.to_string()),
            state,
        }
    }

    /// Serves connections on a port of its own: as a proxy, or as the hosts themselves.
    pub(super) async fn listen(self: &Arc<Self>, via: Via) -> io::Result<Server> {
        let hosts = Arc::clone(self);
        Server::accept(move |stream| Connection::serve(Arc::clone(&hosts), via, None, stream)).await
    }

    fn acceptor(&self, host: &str) -> Option<TlsAcceptor> {
        let mut acceptors = self.acceptors.lock();
        if let Some(acceptor) = acceptors.get(host) {
            return Some(acceptor.clone());
        }
        let identity = self.authority.issue_for(host).ok()?;
        let settings = Arc::new(identity.server_settings().ok()?);
        let acceptor = TlsAcceptor::from(settings);
        acceptors.insert(host.to_owned(), acceptor.clone());
        Some(acceptor)
    }

    fn decide(&self, step: Option<Step>, request: &Request) -> Decided {
        let mut state = self.state.lock();
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
                google::registry_token(&request.host, basic_login(&request.headers), state)
            }
        })
    }

    /// The response of the registry behind.
    async fn registry(&self, request: &Request) -> Outcome {
        let (mut head, body) = http::Request::new(Full::<Bytes>::default()).into_parts();
        head.method = request.method.clone();
        if let Some(accept) = request.headers.get(header::ACCEPT) {
            head.headers.insert(header::ACCEPT, accept.clone());
        }
        let response = self.registry.send(head, body, &request.path).await?;
        Ok(response.map(Full::new))
    }

    fn note(&self, step: Option<Step>, request: &Request, status: u16) {
        let mut state = self.state.lock();
        let text = request.text();
        let target = match &*request.query {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        };
        let has_secret = state.secrets().iter().any(|secret| text.contains(secret));
        state.asked.push(RecordedRequest {
            via: request.via,
            host: request.host.clone(),
            target,
            step,
            status,
            has_secret,
        });
    }
}

impl Connection {
    async fn serve(
        hosts: Arc<Hosts>,
        via: Via,
        host: Option<String>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let connection = Self {
            hosts,
            via,
            host,
            tunnels: Mutex::default(),
        };
        server::serve(stream, &connection).await;
        let mut tunnels = std::mem::take(&mut *connection.tunnels.lock());
        while tunnels.join_next().await.is_some() {}
    }

    /// Terminates the TLS of a tunnel to any host, and serves its requests.
    fn connect(&self, request: http::Request<Incoming>) -> Answer {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let hosts = Arc::clone(&self.hosts);
        self.tunnels.lock().spawn(async move {
            let Ok(upgraded) = upgrade::on(request).await else {
                return;
            };
            let Some(acceptor) = hosts.acceptor(&host) else {
                return;
            };
            if let Ok(stream) = acceptor.accept(TokioIo::new(upgraded)).await {
                // Boxed, as its type would contain itself
                let served: BoxFuture<'static, ()> =
                    Box::pin(Self::serve(hosts, Via::Tunnel, Some(host), stream));
                served.await;
            }
        });
        Response::new(Full::default())
    }
}

impl Handler for Connection {
    async fn respond(&self, request: http::Request<Incoming>) -> Outcome {
        if request.method() == Method::CONNECT {
            return Ok(self.connect(request));
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| NoResponse)?.to_bytes();
        let named = head.uri.authority().map(ToString::to_string);
        let host = || server::header(&head.headers, header::HOST).to_owned();
        let request = Request {
            via: self.via,
            host: self.host.clone().or(named).unwrap_or_else(host),
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
        };
        let step = step(&request);
        let outcome = match self.hosts.decide(step, &request) {
            Decided::Answer(answer) => Ok(answer),
            Decided::Nothing => Err(NoResponse),
            Decided::Registry => self.hosts.registry(&request).await,
        };
        let status = outcome.as_ref();
        let status = status.map_or(0, |response| response.status().as_u16());
        self.hosts.note(step, &request, status);
        outcome
    }
}

/// How a request is responded to.
enum Decided {
    Answer(Answer),
    Nothing,
    Registry,
}

/// The step that a request is, by host and path; nothing for one to a registry or to an unknown host.
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
