//! The lists of a watch, whose objects are handed on while a list comes in.

use std::{io, sync::Arc};

use futures::TryStreamExt as _;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body, core::DeserializeGuard};
use serde_json::error::Error;
use tokio::time;
use tower::service_fn;

use super::is_watch;
use crate::{list, workload::View};

/// A list was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("no list within {} s", list::TIMEOUT.as_secs())]
struct TooLong;

/// A client that hands each object of a list to `each`, and gives a watcher what is left: the list without its items, from
/// whose `resourceVersion` that goes on.
pub(super) fn apart(
    client: &Client,
    each: impl Fn(DeserializeGuard<View>) + Send + Sync + 'static,
) -> Client {
    let (client, each) = (client.clone(), Arc::new(each));
    let service = service_fn(move |request: Request<Body>| {
        let (client, each) = (client.clone(), Arc::clone(&each));
        async move {
            if is_watch(&request) {
                return client.send(request).await;
            }
            let list = time::timeout(list::TIMEOUT, list(&client, request, &*each)).await;
            list.unwrap_or_else(|_| Err(kube::Error::Service(TooLong.into())))
        }
    });
    Client::new(service, String::new())
}

async fn list(
    client: &Client,
    mut request: Request<Body>,
    each: &(impl Fn(DeserializeGuard<View>) + Sync),
) -> Result<Response<Body>, kube::Error> {
    list::close_after(&mut request);
    let (mut head, body) = client.send(request).await?.into_parts();
    if !head.status.is_success() {
        return Ok(Response::from_parts(head, body));
    }
    let body = body.into_data_stream().map_err(io::Error::other);
    let envelope = list::take_apart(body.into_async_read(), |item| {
        each(read(item)?);
        Ok(())
    });
    let envelope = envelope.await?;
    head.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(envelope.json)))
}

/// Reads an object; only one that is odd is read twice.
fn read(object: &str) -> Result<DeserializeGuard<View>, Error> {
    serde_json::from_str(object)
        .map(|view| DeserializeGuard(Ok(view)))
        .or_else(|_| serde_json::from_str(object))
}
