//! The service below kube's client: kube's layers on a connection pool that notices a server that is gone.

use std::{error::Error as StdError, fmt, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::{
            self, Client as Pool,
            connect::{HttpConnector, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{AuthError, Body, ConfigExt as _, middleware::AuthLayer},
};
use kube_autorollout_tls::Stream;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{task, time::timeout};
use tower::{
    BoxError, Layer as _, ServiceExt as _, service_fn,
    util::{BoxCloneSyncService, option_layer},
};

use super::{
    authority,
    error::{Error, Problem},
    guarded,
    recovery::Recovery,
};
use crate::error_chain::Chain;

/// After so long without a packet the other side is asked for a sign of life, and then again at each [`PROBE`].
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);

/// A connection is given up on which what was sent, a probe included, is not acknowledged within so long: a node that is
/// gone, or a firewall that has forgotten the connection, sends no reset. The kernel's own bound is a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Idle connections are kept for so long.
const IDLE: Duration = Duration::from_secs(90);

/// An exec plugin may take so long at the start.
const PLUGIN: Duration = Duration::from_secs(60);

/// The same type as the registry client's, so that the binary has the code of an HTTP client once: 100 kB are at stake.
type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<Stream>, BoxError>;

/// A request without an answer. Its text has all causes, because watches show only one error.
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
/// [`Error`] when the configuration cannot be followed.
pub(super) async fn client(config: Config, recovery: Recovery) -> Result<Client, Error> {
    within(config, PLUGIN, recovery).await
}

/// The same, with so much time for an exec plugin.
async fn within(config: Config, limit: Duration, recovery: Recovery) -> Result<Client, Error> {
    // What runs an exec plugin blocks
    let run = task::spawn_blocking(move || {
        let identity = identity(config.clone());
        (config, identity)
    });
    let Ok(run) = timeout(limit, run).await else {
        let late = format!("the exec plugin did not finish within {limit:?}");
        return Err(Problem::new(late).into());
    };
    let (config, identity) = run.map_err(|_| {
        // tower-http panics; a token in a file, and a renewed one, are errors
        Problem::new(
            "the token of the kubeconfig's user has a character that is not allowed in a header",
        )
    })?;
    let (authorization, tls) = identity?;
    let pool = Pool::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector(&config, tls)?);
    let service = service_fn(move |request| Box::pin(send(pool.clone(), request)));
    let headers = config.extra_headers_layer().map_err(Problem::from)?;
    let service = option_layer(authorization).layer(headers.layer(service));
    let service = guarded(service.map_err(without_secrets), recovery)?;
    let service = config.base_uri_layer().layer(service);
    Ok(Client::new(service, config.default_namespace))
}

/// What requests and connections show the API server.
fn identity(mut config: Config) -> Result<(Option<AuthLayer>, ClientConfig), Problem> {
    let authorization = config.auth_layer()?;
    if authorization.is_some() {
        config.auth_info.exec = None; // it gave a token, and is not to be asked for a certificate, too
    }
    let mut tls = config.rustls_client_config()?;
    if !config.accept_invalid_certs {
        let verifier = authority::verifier(&config)?;
        tls.dangerous().set_certificate_verifier(verifier);
    }
    Ok((authorization, tls))
}

/// The error of a request, without what an exec plugin wrote.
fn without_secrets(error: BoxError) -> BoxError {
    match error.downcast_ref::<AuthError>() {
        Some(error) => Problem::from(error).into(),
        None => error,
    }
}

async fn send(
    pool: Pool<Connector, Full<Bytes>>,
    request: Request<Body>,
) -> Result<Response<Incoming>, BoxError> {
    let (head, body) = request.into_parts();
    let body = Full::new(body.collect_bytes().await?);
    let answer = pool.request(Request::from_parts(head, body)).await;
    Ok(answer.map_err(Unanswered)?)
}

/// Makes connections: direct, or in a tunnel through the kubeconfig's proxy.
fn connector(config: &Config, tls: ClientConfig) -> Result<Connector, Problem> {
    let tcp = match &config.proxy_url {
        None => BoxCloneSyncService::new(tcp().map_err(BoxError::from)),
        Some(url) => BoxCloneSyncService::new(tunnel(url)?.map_err(BoxError::from)),
    };
    let tcp = tcp.map_response(Stream::to_server);
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    let builder = match &config.tls_server_name {
        None => builder,
        Some(name) => {
            let name = ServerName::try_from(name.clone())
                .map_err(|_| Problem::new("the kubeconfig's tls-server-name is no host name"))?;
            builder.with_server_name_resolver(FixedServerNameResolver::new(name))
        }
    };
    Ok(BoxCloneSyncService::new(
        builder.enable_http1().wrap_connector(tcp),
    ))
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

/// A tunnel through this proxy, whose address may hold a login.
fn tunnel(url: &Uri) -> Result<Tunnel<HttpConnector>, Problem> {
    let matcher = Matcher::builder().all(url.to_string()).build();
    let proxy = matcher.intercept(&Uri::from_static("https://server"));
    let Some(proxy) = proxy.filter(|proxy| proxy.uri().scheme_str() == Some("http")) else {
        return Err(Problem::new(
            "the kubeconfig's proxy-url is not supported; use http://host:port",
        ));
    };
    let tunnel = Tunnel::new(proxy.uri().clone(), tcp());
    Ok(match proxy.basic_auth() {
        Some(login) => tunnel.with_auth(login.clone()),
        None => tunnel,
    })
}

#[cfg(test)]
mod tests;
