//! The service below kube's client: kube's layers on a connection pool that detects dead connections.

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

/// The time without a packet before the first TCP keep-alive probe.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The interval of further probes.
const PROBE: Duration = Duration::from_secs(10);

/// The time until data that is not acknowledged, probes included, ends a connection: a dead node, or a firewall that has
/// dropped the connection, sends no reset. The kernel's own limit is a quarter of an hour.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// How long idle connections stay open.
const IDLE: Duration = Duration::from_secs(90);

/// The deadline of an exec plugin at the start.
pub(super) const PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The same type as the registry client's, so that the code of the HTTP client is compiled once, which saves 100 kB.
type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<Stream>, BoxError>;

/// A request without a response. It displays all causes, because watches log only one error.
#[derive(Debug)]
struct RequestFailed(legacy::Error);

impl fmt::Display for RequestFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Chain(&self.0).fmt(formatter)
    }
}

impl StdError for RequestFailed {}

/// Creates a client for the API server. Nothing is sent yet.
///
/// # Errors
///
/// [`Error`] when the configuration is invalid, or the exec plugin exceeds its deadline.
pub(super) async fn client(
    config: Config,
    plugin_timeout: Duration,
    recovery: Recovery,
) -> Result<Client, Error> {
    // kube runs exec plugins with blocking calls.
    let run = task::spawn_blocking(move || {
        let identity = identity(config.clone());
        (config, identity)
    });
    let Ok(run) = timeout(plugin_timeout, run).await else {
        let late = format!("the exec plugin did not finish within {plugin_timeout:?}");
        return Err(Problem::new(late).into());
    };
    let (config, identity) = run.map_err(|_| {
        // tower-http panics; for tokens in files and refreshed tokens, kube returns an error.
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

/// The credentials of requests, and the TLS configuration with those of connections.
fn identity(mut config: Config) -> Result<(Option<AuthLayer>, ClientConfig), Problem> {
    let authorization = config.auth_layer()?;
    if authorization.is_some() {
        config.auth_info.exec = None; // its token is used, and it need not run again for a certificate
    }
    let mut tls = config.rustls_client_config()?;
    if !config.accept_invalid_certs {
        let verifier = authority::verifier(&config)?;
        tls.dangerous().set_certificate_verifier(verifier);
    }
    Ok((authorization, tls))
}

/// Removes the output of an exec plugin from the error of a request.
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
    let response = pool.request(Request::from_parts(head, body)).await;
    Ok(response.map_err(RequestFailed)?)
}

/// Connects directly, or through a tunnel of the kubeconfig's proxy.
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

/// A tunnel through this proxy, whose URL may contain a password.
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
