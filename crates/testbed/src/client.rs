//! A client for servers on loopback.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// How long a response may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The status and the body of the response to a GET request; `None` without one.
pub(crate) async fn get(url: &str) -> Option<(StatusCode, String)> {
    let uri = url.parse().ok()?;
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let answer = async {
        let response = client.get(uri).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Some((status, text))
    };
    timeout(DEADLINE, answer).await.ok()?
}
