//! The API server's responses, document by document, with the changes of a test.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use http_body_util::BodyExt as _;
use hyper::body::Frame;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use super::rules::Rules;

/// A list, an object, or the events of a watch, one a line.
pub(super) struct Documents {
    pub(super) body: Body,
    /// What was read and is not a whole line yet.
    pub(super) rest: BytesMut,
    pub(super) plural: String,
    pub(super) rules: Arc<Mutex<Rules>>,
    pub(super) delivering: Option<watch::Receiver<bool>>,
    pub(super) away: watch::Receiver<bool>,
}

/// Documents as they arrive, changed by the rules as they are when each is passed on.
pub(super) fn documents(
    documents: Documents,
) -> impl Stream<Item = Result<Frame<Bytes>, kube::Error>> + Send {
    stream::try_unfold(documents, async |mut documents| {
        let mut away = documents.away.clone();
        let line = tokio::select! {
            line = documents.next() => line?,
            // An error means that the gateway is gone
            _ = away.wait_for(|away| *away) => None,
        };
        let Some(line) = line else {
            return Ok(None);
        };
        if let Some(delivering) = &mut documents.delivering {
            // An error means that the gateway is gone
            drop(delivering.wait_for(|delivering| *delivering).await);
        }
        let changed = changed(&line, &documents.plural, &documents.rules.lock());
        let line = changed.unwrap_or_else(|| line.freeze());
        Ok(Some((Frame::data(line), documents)))
    })
}

impl Documents {
    /// The next line, or the rest of the body.
    async fn next(&mut self) -> Result<Option<BytesMut>, kube::Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.rest.split_to(end + 1)));
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.rest.extend_from_slice(&data);
                }
                None => return Ok((!self.rest.is_empty()).then(|| self.rest.split())),
            }
        }
    }
}

/// The document with its objects changed; nothing where no rule is for them.
fn changed(line: &[u8], plural: &str, rules: &Rules) -> Option<Bytes> {
    if rules.changes.keys().all(|(changed, _)| changed != plural) {
        return None;
    }
    let mut document: Value = serde_json::from_slice(line).ok()?;
    for ((_, name), (pointer, value)) in rules.changes.iter().filter(|((of, _), _)| of == plural) {
        for object in objects(&mut document) {
            if object.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
                && let Some(place) = object.pointer_mut(pointer)
            {
                *place = value.clone();
            }
        }
    }
    Some(format!("{document}\n").into())
}

/// The objects of a list, that of an event, or the document itself.
fn objects(document: &mut Value) -> Vec<&mut Value> {
    let has = |key: &str| document.get(key).is_some();
    let (is_list, is_event) = (has("items"), has("object"));
    if is_list {
        let items = document.get_mut("items").and_then(Value::as_array_mut);
        items.into_iter().flatten().collect()
    } else if is_event {
        document.get_mut("object").into_iter().collect()
    } else {
        vec![document]
    }
}
