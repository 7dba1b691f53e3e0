//! GET requests to servers on loopback.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

/// How long a server may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The status and the body of the answer; nothing when there is none.
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
    timeout(ANSWER_WITHIN, answer).await.ok()?
}
