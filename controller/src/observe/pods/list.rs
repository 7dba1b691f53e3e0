//! Lists pods, and the revisions of their owners.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use futures::future;
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, ReplicaSet},
    core::v1,
};
use kube::{
    Client, Resource as _,
    api::{ListParams, Request},
};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::{self, Instant};

use super::{
    Error,
    interner::PodInterner,
    object::PodObject,
    snapshot::{ByOwner, HistoryRequest, ListedPod, Revisions, Snapshot},
};
use crate::{
    client::list_stream,
    clock,
    workload::{History, OwnerReference, Revision, controlled_by},
};

/// An object that is not what this version expects of its kind, which is an error of its owner only: the UID of the owner, and
/// the object's name with the error.
type Unreadable = (String, Arc<str>);

/// The pods that the selector finds, and the revisions of their owners.
///
/// # Errors
///
/// [`Error`] when the pods cannot be listed. A history that cannot be listed is an error of the workloads that need it.
pub(super) async fn list(
    client: &Client,
    namespace: &str,
    selector: &str,
    requests: impl Iterator<Item = HistoryRequest>,
) -> Result<Arc<Snapshot>, Error> {
    let mut histories: BTreeMap<History, bool> = BTreeMap::new();
    for request in requests {
        *histories.entry(request.history).or_default() |= request.templates;
    }
    let (started_at, started) = (clock::now(), Instant::now());
    let histories = histories
        .into_iter()
        .map(|(history, templates)| async move {
            let request = HistoryRequest { history, templates };
            (
                request,
                revisions(client, namespace, selector, request).await,
            )
        });
    let lists = future::join(
        pods(client, namespace, selector),
        future::join_all(histories),
    );
    let (pods, histories) = time::timeout(list_stream::TIMEOUT, lists)
        .await
        .map_err(|_| Error::Timeout {
            namespace: namespace.to_owned(),
        })?;
    let (pods, unreadable) = pods?;
    let mut unreadable: HashMap<_, _> = unreadable.into_iter().collect();
    let histories = histories.into_iter().map(|(request, listed)| {
        let listed = listed.map(|(by_owner, others)| {
            unreadable.extend(others);
            Revisions {
                templates: request.templates,
                by_owner,
            }
        });
        (request.history, listed)
    });
    Ok(Arc::new(Snapshot {
        started_at,
        started,
        took: started.elapsed(),
        pods,
        histories: histories.collect(),
        unreadable,
    }))
}

async fn pods(
    client: &Client,
    namespace: &str,
    selector: &str,
) -> Result<(ByOwner<ListedPod>, Vec<Unreadable>), Error> {
    let mut interner = PodInterner::default();
    let request = Request::new(v1::Pod::url_path(&(), Some(namespace)));
    let request = |parameters: &ListParams| request.list(parameters);
    let listed = by_owner(client, selector, request, |pod: PodObject| {
        Some((pod.owner()?.to_owned(), pod.reduce(&mut interner)))
    });
    listed
        .await
        .map_err(|source| Error::list("pods", namespace, source))
}

async fn revisions(
    client: &Client,
    namespace: &str,
    selector: &str,
    HistoryRequest { history, templates }: HistoryRequest,
) -> Result<(ByOwner<Revision>, Vec<Unreadable>), Error> {
    let path = match history {
        History::ReplicaSets => ReplicaSet::url_path(&(), Some(namespace)),
        History::ControllerRevisions => ControllerRevision::url_path(&(), Some(namespace)),
    };
    let request = Request::new(path);
    let request = |parameters: &ListParams| match history {
        History::ReplicaSets if !templates => request.list_metadata(parameters),
        // The number of a ControllerRevision is not metadata, and neither are templates.
        _ => request.list(parameters),
    };
    let listed = by_owner(client, selector, request, |mut revision: Revision| {
        if !templates {
            revision.drop_template();
        }
        Some((revision.owner.take()?.into(), revision))
    });
    listed
        .await
        .map_err(|source| Error::list(history.plural(), namespace, source))
}

/// Lists objects and groups them by owner. `reduce` returns the owner of an object, if it has one, and the part that is stored,
/// while the list is received.
async fn by_owner<T: DeserializeOwned, U: Send>(
    client: &Client,
    selector: &str,
    request: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    mut reduce: impl FnMut(T) -> Option<(String, U)> + Send,
) -> Result<(ByOwner<U>, Vec<Unreadable>), kube::Error> {
    let mut objects: ByOwner<U> = HashMap::new();
    let mut unreadable = Vec::new();
    let parameters = ListParams::default().labels(selector);
    let request = |parameters: &ListParams| {
        let mut request = request(parameters)?;
        if selector.is_empty() {
            list_stream::close_after(&mut request);
        }
        Ok(request)
    };
    let items = list_stream::all(client, request, parameters, |item| {
        match read(item)? {
            Ok(object) => {
                if let Some((owner, object)) = reduce(object) {
                    // Most owners have one pod, and the first `push` would reserve four.
                    let siblings = objects.entry(owner);
                    siblings
                        .or_insert_with(|| Vec::with_capacity(1))
                        .push(object);
                }
            }
            Err(object) => unreadable.push(object),
        }
        Ok(())
    });
    items.await?;
    Ok((objects, unreadable))
}

/// Reads an object, or at least its owner.
///
/// # Errors
///
/// When neither can be read.
fn read<T: DeserializeOwned>(object: &str) -> Result<Result<T, Unreadable>, serde_json::Error> {
    match serde_json::from_str(object) {
        Ok(read) => Ok(Ok(read)),
        Err(error) => unreadable(object, &error).map(Err).ok_or(error),
    }
}

fn unreadable(object: &str, error: &serde_json::Error) -> Option<Unreadable> {
    let object: Value = serde_json::from_str(object).ok()?;
    let metadata = object.get("metadata")?;
    let owners = Vec::<OwnerReference>::deserialize(metadata.get("ownerReferences")?).ok()?;
    let owner = controlled_by(&owners)?.to_owned();
    let name = metadata.get("name")?.as_str()?;
    Some((owner, format!("{name}: {error}").into()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    /// An object of these tests.
    #[derive(Debug, PartialEq, Eq, Deserialize)]
    struct Object {
        number: u32,
    }

    fn read(
        number: &Value,
        owners: &Value,
    ) -> Result<Result<Object, Unreadable>, serde_json::Error> {
        let metadata = json!({ "name": "web-1", "ownerReferences": owners });
        let object = json!({ "metadata": metadata, "number": number });
        super::read(&object.to_string())
    }

    #[test]
    fn an_object_that_cannot_be_read_is_an_error_of_its_owner() {
        let owners = json!([{ "uid": "other" }, { "uid": "web", "controller": true }]);
        let good = read(&json!(1), &owners).expect("an object");
        assert_eq!(good, Ok(Object { number: 1 }));
        let bad = read(&json!("one"), &owners).expect("its owner");
        let bad = bad.expect_err("no object");
        assert_eq!(bad.0, "web");
        assert!(bad.1.starts_with("web-1: "), "{bad:?}");
    }

    #[test]
    fn an_unreadable_object_without_an_owner_fails_the_list() {
        for owners in [json!([]), json!([{ "uid": "other" }]), json!("none")] {
            let error = read(&json!("one"), &owners).expect_err("no owner");
            assert!(error.to_string().contains("\"one\""), "{error}");
        }
        super::read::<Object>("{").expect_err("no object");
    }
}
