//! Lists pods, and the past templates of their owners.

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
use serde::de::DeserializeOwned;
use tokio::time::{self, Instant};

use super::{
    Error,
    answer::{Answer, Listed, PastTemplates, Pasts},
    object::{self, Unreadable},
    shared::Shared,
    view::View,
};
use crate::{
    client::list_stream,
    clock,
    workload::{History, Past},
};

/// Objects by the UIDs of their owners, and those that cannot be read.
type ByOwner<T> = (HashMap<String, Vec<T>>, Vec<Unreadable>);

/// The pods that the selector finds and the history of their owners.
///
/// # Errors
///
/// [`Error`] when the pods cannot be listed. A history that cannot be is an error of those who need it.
pub(super) async fn list(
    client: &Client,
    namespace: &str,
    selector: &str,
    wanted: impl Iterator<Item = PastTemplates>,
) -> Result<Arc<Answer>, Error> {
    let mut histories: BTreeMap<History, bool> = BTreeMap::new();
    for wanted in wanted {
        *histories.entry(wanted.of).or_default() |= wanted.templates;
    }
    let (begun, at) = (clock::now(), Instant::now());
    let lists = async {
        let histories = histories
            .into_iter()
            .map(|(history, templates)| async move {
                let listed = history_of(client, namespace, selector, (history, templates));
                (history, templates, listed.await)
            });
        future::join(
            pods(client, namespace, selector),
            future::join_all(histories),
        )
        .await
    };
    let (pods, histories) = time::timeout(list_stream::TIMEOUT, lists)
        .await
        .map_err(|_| Error::Timeout {
            namespace: namespace.to_owned(),
        })?;
    let (pods, mut unreadable) = pods?;
    let histories = histories.into_iter().map(|(history, templates, listed)| {
        let listed = listed.map(|(of, bad)| {
            unreadable.extend(bad);
            Pasts { templates, of }
        });
        (history, listed)
    });
    Ok(Arc::new(Answer {
        begun,
        at,
        took: at.elapsed(),
        pods,
        histories: histories.collect(),
        unreadable: unreadable
            .into_iter()
            .map(|object| (object.owner, object.what.into()))
            .collect(),
    }))
}

async fn pods(client: &Client, namespace: &str, selector: &str) -> Result<ByOwner<Listed>, Error> {
    let mut pods: HashMap<String, Vec<Listed>> = HashMap::new();
    let mut shared = Shared::default();
    let request = Request::new(v1::Pod::url_path(&(), Some(namespace)));
    let items = each(
        client,
        selector,
        |parameters| request.list(parameters),
        |pod: View| {
            if let Some(owner) = pod.owner().map(str::to_owned) {
                let owned = pods.entry(owner).or_insert_with(one);
                owned.push(pod.reduced(&mut shared));
            }
        },
    );
    let listed = items.await;
    let unreadable = listed.map_err(|source| Error::list("pods", namespace, source))?;
    Ok((pods, unreadable))
}

async fn history_of(
    client: &Client,
    namespace: &str,
    selector: &str,
    (history, templates): (History, bool),
) -> Result<ByOwner<Past>, Error> {
    let mut objects: HashMap<String, Vec<Past>> = HashMap::new();
    let path = match history {
        History::ReplicaSets => ReplicaSet::url_path(&(), Some(namespace)),
        History::ControllerRevisions => ControllerRevision::url_path(&(), Some(namespace)),
    };
    let request = Request::new(path);
    let items = each(
        client,
        selector,
        |parameters| match history {
            History::ReplicaSets if !templates => request.list_metadata(parameters),
            // The number of a revision is not metadata, and neither are templates.
            _ => request.list(parameters),
        },
        |mut object: Past| {
            if let Some(owner) = object.owner.take() {
                let object = if templates {
                    object
                } else {
                    object.without_template()
                };
                objects.entry(owner.into()).or_insert_with(one).push(object);
            }
        },
    );
    let listed = items.await;
    let unreadable = listed.map_err(|source| Error::list(history.plural(), namespace, source))?;
    Ok((objects, unreadable))
}

/// Lists, hands each object on while the list comes in, and gives those that cannot be read.
async fn each<T: DeserializeOwned>(
    client: &Client,
    selector: &str,
    request: impl Fn(&ListParams) -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    mut take: impl FnMut(T) + Send,
) -> Result<Vec<Unreadable>, kube::Error> {
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
        match object::read(item)? {
            Ok(object) => take(object),
            Err(object) => unreadable.push(object),
        }
        Ok(())
    });
    items.await?;
    Ok(unreadable)
}

/// Capacity for one: most owners have one pod, and the first `push` would reserve four.
fn one<T>() -> Vec<T> {
    Vec::with_capacity(1)
}
