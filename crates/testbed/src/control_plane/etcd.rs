//! Requests to etcd, through the JSON of its gateway
//! (<https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/>).

use std::{io, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, header::HOST};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

/// Compacts all revisions before the present one, so that no watch can start from an earlier one.
pub(super) async fn compact(socket: &Path) -> io::Result<()> {
    let first_key = json!({ "key": "AA==", "limit": "1", "keys_only": true });
    let answer = post(socket, "/v3/kv/range", &first_key).await?;
    let revision = answer.pointer("/header/revision").cloned();
    let revision = revision.ok_or_else(|| io::Error::other(format!("no revision in {answer}")))?;
    let order = json!({ "revision": revision, "physical": true });
    post(socket, "/v3/kv/compaction", &order).await.map(drop)
}

/// Writes objects under their keys in one transaction.
pub(super) async fn put(socket: &Path, objects: &[(String, Value)]) -> io::Result<()> {
    let puts = objects.iter().map(|(key, object)| {
        let key = STANDARD.encode(format!("/registry/{key}"));
        json!({ "requestPut": { "key": key, "value": STANDARD.encode(object.to_string()) } })
    });
    let transaction = json!({ "success": puts.collect::<Vec<_>>() });
    post(socket, "/v3/kv/txn", &transaction).await.map(drop)
}

async fn post(socket: &Path, path: &str, body: &Value) -> io::Result<Value> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let request = Request::post(path)
        .header(HOST, "etcd")
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, body))
    };
    let (status, body) = tokio::select! {
        answer = exchange => answer.map_err(io::Error::other)?,
        // It ends with the exchange at the earliest, or without a response
        Err(error) = connection => return Err(io::Error::other(error)),
    };
    if !status.is_success() {
        let text = String::from_utf8_lossy(&body).into_owned();
        return Err(io::Error::other(format!("etcd says {status}: {text}")));
    }
    serde_json::from_slice(&body).map_err(io::Error::other)
}
