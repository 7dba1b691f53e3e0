//! Connections: TCP, TLS, and their pool.

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri, header::PROXY_AUTHORIZATION};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube_autorollout_tls::Stream;
use rustls::ClientConfig;
use tokio::time::timeout;
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::proxy::{Proxy, ProxyError};
use crate::error::repr::{Cause, Repr};

/// How long idle connections are kept: longer than the interval of most checks.
const IDLE: Duration = Duration::from_secs(90);

/// The interval of pings on an HTTP/2 connection with requests in flight.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The largest headers of a response.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// A pool of connections under one TLS configuration.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<BoxCloneSyncService<Uri, MaybeHttpsStream<Stream>, Cause>, Full<Bytes>>,
    proxy: Proxy,
}

/// The connection was not established in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} s", .0.as_secs_f32())]
struct ConnectTimeout(Duration);

impl Transport {
    pub(crate) fn new(tls: ClientConfig, proxy: Proxy, connect_timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(service_fn({
                let proxy = proxy.clone();
                move |to| {
                    let (proxy, tcp) = (proxy.clone(), tcp.clone());
                    Box::pin(async move { proxy.connect(tcp, to).await })
                }
            }))
            .map_future(move |connecting| async move {
                // The TCP connector's own timeout does not cover name resolution and TLS.
                match timeout(connect_timeout, connecting).await {
                    Ok(connected) => connected,
                    Err(_) => Err(Cause::from(ConnectTimeout(connect_timeout))),
                }
            });
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .build(BoxCloneSyncService::new(connector));
        Self { client, proxy }
    }

    /// Sends a request and waits for the head of the response.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Repr> {
        let to = request.uri().clone();
        if let Some(authorization) = self.proxy.authorization(&to) {
            let headers = request.headers_mut();
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        let response = self.client.request(request).await.map_err(|error| {
            match (error.is_connect(), classify(Box::new(error))) {
                (true, Repr::Transport(cause)) => Repr::Connect(cause),
                (_, repr) => repr,
            }
        })?;
        match self
            .proxy
            .refusal(&to, response.status(), response.headers())
        {
            Some(refusal) => Err(Repr::Proxy(Arc::new(refusal))),
            None => Ok(response),
        }
    }
}

/// Classifies the error of a library.
pub(crate) fn classify(error: Cause) -> Repr {
    if let Some(ConnectTimeout(after)) = find(&*error) {
        return Repr::ConnectTimeout { after: *after };
    }
    if let Some(ProxyError::Refused { .. }) = find(&*error) {
        return Repr::Proxy(error.into());
    }
    if find::<rustls::Error>(&*error).is_some() {
        return Repr::Tls(error.into());
    }
    Repr::Transport(error.into())
}

/// Finds the first source of a type.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    // The error inside an I/O error is not its source.
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .map(|inner| inner as &(dyn StdError + 'static));
    find(inner.or_else(|| error.source())?)
}
