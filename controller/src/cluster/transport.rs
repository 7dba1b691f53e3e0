//! Requests to the API server: one pool of connections, made as [`Access`] says.
//!
//! The pool is of the same type as that of the registry client, so that the binary has the code of an HTTP client once.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{
    DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, MaybeHttpsStream,
    ResolveServerName,
};
use hyper_util::{
    client::{
        legacy::{
            self, Client as Pool,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use kube::{
    Client,
    client::{Body, middleware::BaseUriLayer},
};
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::{net::TcpStream, time::timeout};
use tower::{
    BoxError as Failure, Layer as _, Service as _, ServiceExt as _, service_fn,
    util::BoxCloneSyncService,
};

use super::{
    access::Access,
    credential::Credential,
    tls::{self, Tls},
};
use crate::{
    client::{InvalidBackoff, guarded},
    error_chain::Chain,
};

/// A connection that is not there after so long is given up.
const CONNECT: Duration = Duration::from_secs(30);

/// After so long without a packet the other side is asked for a sign of life, and then again at each [`PROBE`].
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);

/// A connection is given up on which what was sent, a probe included, is not acknowledged within so long: a node that is
/// gone, or a firewall that has forgotten the connection, sends no reset. The kernel's own bound is a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Idle connections are kept for so long.
const IDLE: Duration = Duration::from_secs(90);

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The proxy.
    #[error("the kubeconfig's proxy-url has to be http://host:port")]
    Proxy,
    /// The name in the certificate.
    #[error("the kubeconfig's tls-server-name is no name of a host")]
    ServerName(#[from] InvalidDnsNameError),
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// The pauses between attempts, which are our own.
    #[error(transparent)]
    Retry(#[from] InvalidBackoff),
}

/// No connection in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection to the API server within {} s", CONNECT.as_secs())]
struct TooLong;

/// A request without an answer. It tells all of its causes itself, as watches show no more than one error.
#[derive(Debug)]
struct Unanswered(legacy::Error);

impl fmt::Display for Unanswered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain(&self.0).fmt(formatter)
    }
}

impl StdError for Unanswered {}

/// A client for the API server. Nothing is sent yet.
///
/// # Errors
///
/// [`Error`] when what the kubeconfig says cannot be followed.
pub(super) fn client(access: Access, namespace: String) -> Result<Client, Error> {
    let credential = Arc::new(access.credential);
    let name: Arc<dyn ResolveServerName + Send + Sync> = match access.server_name {
        Some(name) => Arc::new(FixedServerNameResolver::new(ServerName::try_from(name)?)),
        None => Arc::new(DefaultServerNameResolver::default()),
    };
    let tls = Tls::new(access.authority, access.identity);
    tls.configuration(None)?; // what is wrong with the files is said at the start
    let way = Arc::new(Way {
        tls,
        credential: Arc::clone(&credential),
        name,
        proxy: access.proxy.as_deref().map(proxy).transpose()?,
    });
    let connector = service_fn(move |to| Box::pin(connect(Arc::clone(&way), to)));
    let pool = Pool::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(BoxCloneSyncService::new(connector));
    let requests = Arc::new(Requests {
        pool,
        credential,
        headers: access.headers,
    });
    let service = service_fn(move |request| Box::pin(send(Arc::clone(&requests), request)));
    let service = BaseUriLayer::new(access.server).layer(guarded(service)?);
    Ok(Client::new(service, namespace))
}

/// How a request is sent.
struct Requests {
    pool: Pool<BoxCloneSyncService<Uri, Stream, Failure>, Full<Bytes>>,
    credential: Arc<Credential>,
    headers: HeaderMap,
}

async fn send(
    requests: Arc<Requests>,
    request: Request<Body>,
) -> Result<Response<Incoming>, Failure> {
    let (mut head, body) = request.into_parts();
    head.headers.extend(requests.headers.clone());
    if let Some(value) = requests.credential.header().await? {
        head.headers.insert(header::AUTHORIZATION, value);
    }
    let body = Full::new(body.collect_bytes().await?);
    let request = Request::from_parts(head, body);
    let answer = requests.pool.request(request).await;
    Ok(answer.map_err(Unanswered)?)
}

/// How a connection is made.
struct Way {
    tls: Tls,
    credential: Arc<Credential>,
    name: Arc<dyn ResolveServerName + Send + Sync>,
    proxy: Option<Matcher>,
}

async fn connect(way: Arc<Way>, to: Uri) -> Result<Stream, Failure> {
    let identity = way.credential.identity().await?;
    let tls = way.tls.configuration(identity)?;
    let name = Arc::clone(&way.name);
    let tcp = service_fn(move |to| Box::pin(reach(Arc::clone(&way), to)));
    let mut connector = HttpsConnector::new(tcp, tls, false, name);
    timeout(CONNECT, connector.call(to))
        .await
        .map_err(|_| TooLong)?
}

/// A connection without TLS: direct, or a tunnel through the proxy.
async fn reach(way: Arc<Way>, to: Uri) -> Result<TokioIo<TcpStream>, Failure> {
    let tcp = tcp();
    let proxy = way.proxy.as_ref().and_then(|proxy| proxy.intercept(&to));
    let Some(proxy) = proxy else {
        return Ok(tcp.oneshot(to).await?);
    };
    let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
    if let Some(login) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(login.clone());
    }
    Ok(tunnel.oneshot(to).await?)
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(PROBE));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// Every request goes through this proxy.
fn proxy(address: &str) -> Result<Matcher, Error> {
    let matcher = Matcher::builder().all(address).build();
    let proxy = matcher.intercept(&Uri::from_static("https://server"));
    let usable = proxy.is_some_and(|proxy| proxy.uri().scheme_str() == Some("http"));
    if usable {
        Ok(matcher)
    } else {
        Err(Error::Proxy)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_to_a_server_that_is_gone_is_given_up_within_a_minute_or_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let to = format!("https://{address}").parse().expect("an address");
        let connected = tcp().oneshot(to).await.expect("a connection").into_inner();
        let socket = SockRef::from(&connected);
        let keep_alive = socket.tcp_keepalive_time().expect("set");
        assert_eq!(keep_alive, Duration::from_secs(30));
        let probe = socket.tcp_keepalive_interval().expect("set");
        assert_eq!(probe, Duration::from_secs(10));
        let unacknowledged = socket.tcp_user_timeout().expect("set");
        assert_eq!(unacknowledged, Some(Duration::from_secs(30)));
    }
}
