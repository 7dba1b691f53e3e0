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
use crate::{client::list_stream, workload::View};

/// A list was not there in time.
#[derive(Debug, thiserror::Error)]
#[error("no list within {} s", list_stream::TIMEOUT.as_secs())]
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
            let left = time::timeout(
                list_stream::TIMEOUT,
                without_items(&client, request, &*each),
            )
            .await;
            left.unwrap_or_else(|_| Err(kube::Error::Service(TooLong.into())))
        }
    });
    Client::new(service, String::new())
}

/// A list without its items, or what the API server answers instead.
async fn without_items(
    client: &Client,
    mut request: Request<Body>,
    each: &(impl Fn(DeserializeGuard<View>) + Sync),
) -> Result<Response<Body>, kube::Error> {
    list_stream::close_after(&mut request);
    let (mut head, body) = client.send(request).await?.into_parts();
    if !head.status.is_success() {
        return Ok(Response::from_parts(head, body));
    }
    let body = body.into_data_stream().map_err(io::Error::other);
    let envelope = list_stream::take_apart(body.into_async_read(), |item| {
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use http::StatusCode;
    use kube::{Resource as _, api::ListParams};
    use serde_json::{Value, json};

    use super::*;

    /// What a watcher gets of such an answer to a list, and which objects were handed on; those that cannot be read have
    /// an exclamation mark.
    async fn given(status: StatusCode, answer: &Value) -> (kube::Result<Value>, Vec<String>) {
        let answer = answer.to_string();
        let service = service_fn(move |request: Request<Body>| {
            let closes = request.headers().get(header::CONNECTION).is_some();
            assert_eq!(closes, !is_watch(&request), "{}", request.uri());
            let length = answer.len();
            let answer = Body::from(answer.clone().into_bytes());
            let response = Response::builder().status(status);
            async move {
                let response = response.header(header::CONTENT_LENGTH, length);
                response.body(answer)
            }
        });
        let objects = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&objects);
        let client = apart(
            &Client::new(service, "own"),
            move |object: DeserializeGuard<View>| {
                let odd = if object.0.is_err() { "!" } else { "" };
                let name = object.meta().name.clone().unwrap_or_default();
                seen.lock().expect("a lock").push(format!("{name}{odd}"));
            },
        );
        let request = kube::api::Request::new("/deployments");
        let list = request.list(&ListParams::default()).expect("a request");
        let left = client.request(list).await;
        let objects = objects.lock().expect("a lock").clone();
        (left, objects)
    }

    #[tokio::test]
    async fn the_watcher_gets_the_list_without_its_objects_and_an_odd_one_disturbs_no_other() {
        let template = json!({ "spec": { "containers": [] } });
        let spec = json!({ "selector": {}, "template": template });
        let object =
            |name, spec: &Value| json!({ "metadata": { "name": name, "uid": name }, "spec": spec });
        let items = [
            object("web", &spec),
            object("odd", &json!("a text")),
            object("db", &spec),
        ];
        let list = json!({ "metadata": { "resourceVersion": "7" }, "items": items, "kind": "L" });
        let (left, objects) = given(StatusCode::OK, &list).await;
        let expected = json!({ "metadata": { "resourceVersion": "7" }, "items": [], "kind": "L" });
        assert_eq!(left.expect("a list"), expected);
        assert_eq!(objects, ["web", "odd!", "db"]);
    }

    #[tokio::test]
    async fn what_the_api_server_refuses_is_passed_on_as_it_is() {
        let refused = json!({ "kind": "Status", "code": 403, "reason": "Forbidden" });
        let (left, objects) = given(StatusCode::FORBIDDEN, &refused).await;
        let error = left.expect_err("refused");
        assert!(
            matches!(&error, kube::Error::Api(status) if status.is_forbidden()),
            "{error}"
        );
        assert_eq!(objects, [""; 0]);
    }

    #[tokio::test]
    async fn what_is_no_list_of_objects_is_an_error() {
        let no_object = json!({ "metadata": {}, "items": [{ "metadata": 1 }] });
        for answer in [json!({}), json!("text"), no_object] {
            let (left, _) = given(StatusCode::OK, &answer).await;
            left.expect_err("no list");
        }
    }
}
