//! Streams lists of the API server: passes on each object while the list is received.
//!
//! kube's client holds the body of a response two or three times before it is parsed, so its lists need pages, whose number
//! grows with that of the objects (`docs/adr/0013-stream-pod-lists.md`).

mod items;

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use futures::{AsyncBufRead, AsyncBufReadExt as _};
use http::{HeaderValue, Request, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::{Client, api::ListParams, core::request};
use serde::de::Error as _;
use serde_json::error::Error;

use self::items::Items;

/// The deadline of a list, as in the API server itself: kube's client has none.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Lists all objects that the parameters select, without a limit per response: since Kubernetes 1.33 the API server streams it
/// from its cache. Pages that a proxy makes of it are requested one after the other.
///
/// # Errors
///
/// When a response is not a complete list, or `each` fails.
pub(crate) async fn all(
    client: &Client,
    request: impl Fn(&ListParams) -> Result<Request<Vec<u8>>, request::Error>,
    mut parameters: ListParams,
    mut each: impl FnMut(&str) -> Result<(), Error> + Send,
) -> Result<(), kube::Error> {
    loop {
        let request = request(&parameters).map_err(kube::Error::BuildRequest)?;
        let body = client.request_stream(request).await?;
        let metadata = receive(pin!(body), &mut each).await?;
        match metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// Passes each item of a list to `each` while it is received, and returns the metadata. Not generic, so that it is compiled
/// once.
async fn receive(
    mut body: Pin<&mut (dyn AsyncBufRead + Send)>,
    each: &mut (dyn FnMut(&str) -> Result<(), Error> + Send),
) -> Result<ListMeta, kube::Error> {
    let mut items = Items::default();
    loop {
        let bytes = body.fill_buf().await;
        let bytes = bytes.map_err(|error| kube::Error::Service(error.into()))?;
        let length = bytes.len();
        if length == 0 {
            return items.end().map_err(kube::Error::SerdeError);
        }
        let fed = items.feed(bytes, |item| {
            let item = str::from_utf8(item).map_err(Error::custom)?;
            each(item)
        });
        fed.map_err(kube::Error::SerdeError)?;
        body.consume_unpin(length);
    }
}

/// Closes the connection after a long list, as it would keep its buffer, which has grown to 400 kB.
pub(crate) fn close_after<Body>(request: &mut Request<Body>) {
    let close = HeaderValue::from_static("close");
    request.headers_mut().insert(header::CONNECTION, close);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::Response;
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// A client whose API server sends these responses one after the other, and the queries that it received.
    fn answering(answers: &[&str]) -> (Client, Arc<Mutex<Vec<String>>>) {
        let queries = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&queries);
        let answers: Vec<_> = answers.iter().map(ToString::to_string).collect();
        let mut answers = answers.into_iter();
        let service = service_fn(move |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            seen.lock().expect("a lock").push(query);
            let answer = answers.next().expect("an answer");
            async move { Response::builder().body(Body::from(answer.into_bytes())) }
        });
        (Client::new(service, "own"), queries)
    }

    async fn listed(client: &Client) -> Result<Vec<String>, kube::Error> {
        let mut items = Vec::new();
        let request = kube::api::Request::new("/pods");
        let parameters = ListParams::default().labels("app=web");
        let all = all(
            client,
            |parameters| request.list(parameters),
            parameters,
            |item| {
                items.push(item.to_owned());
                Ok(())
            },
        );
        all.await.map(|()| items)
    }

    #[tokio::test]
    async fn pages_are_requested_one_after_the_other() {
        let pages = [
            json!({ "metadata": { "continue": "more" }, "items": [{"a": 1}, {"b": 2}] }),
            json!({ "metadata": { "continue": "" }, "items": [{"c": 3}] }),
        ];
        let pages = pages.map(|page| page.to_string());
        let (client, queries) = answering(&pages.each_ref().map(String::as_str));
        let items = listed(&client).await.expect("a list");
        assert_eq!(items, [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
        let queries = queries.lock().expect("a lock");
        let selector = "&labelSelector=app%3Dweb";
        assert_eq!(*queries, [selector, &format!("{selector}&continue=more")]);
    }

    #[tokio::test]
    async fn a_response_that_is_not_a_list_is_an_error() {
        for answer in ["", "{}", "{\"items\":[{", "{\"items\":[{\"\u{fffd}\":1}]"] {
            let (client, _) = answering(&[answer]);
            listed(&client).await.expect_err(answer);
        }
    }
}
