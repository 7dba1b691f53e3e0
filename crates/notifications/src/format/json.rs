//! JSON for programs, with a stable, versioned schema.

use kube_autorollout_core::labels::{ImageLabels, readable};
use serde_json::{Value, json};

use crate::{
    card::{Card, MAX_LABEL, is_link},
    message::Message,
    notice::{Container, Notice, Version},
};

/// The version of the schema.
const VERSION: u32 = 1;

/// The longest detail, in characters.
const MAX_DETAIL: usize = 1000;

/// The most workloads in `body`.
const MAX_WORKLOADS: usize = 10;

/// The message: `workload` and the following fields are those of the first notice, `others` has the rest of the group.
pub(super) fn of(message: &Message, cluster: &str) -> Value {
    let card = Card::of(message, cluster, MAX_WORKLOADS);
    let others = message.others.iter();
    let others: Vec<Value> = others.map(|other| fields(other).collect()).collect();
    let more = [
        ("version", json!(VERSION)),
        ("id", json!(message.id())),
        ("event", json!(message.event.as_str())),
        ("time", json!(message.at().to_string())),
        ("cluster", json!(cluster)),
        ("count", json!(message.count())),
        ("others", json!(others)),
        ("body", json!(card.lines().join("\n"))),
        ("title", json!(card.title)),
    ];
    fields(&message.first).chain(more).collect()
}

/// The fields of a notice.
fn fields(notice: &Notice) -> impl Iterator<Item = (&'static str, Value)> {
    let workload = &notice.workload;
    let containers: Vec<_> = notice.containers.iter().map(container).collect();
    let detail = notice.detail.as_deref();
    let registry = notice.refused.as_ref().map(|refused| &refused.registry);
    let names = json!({
        "namespace": workload.namespace,
        "kind": workload.kind,
        "name": workload.name,
    });
    [
        ("workload", names),
        ("containers", json!(containers)),
        ("seconds", json!(notice.took.map(|took| took.as_secs()))),
        ("reason", json!(notice.reason)),
        (
            "detail",
            json!(detail.and_then(|detail| readable(detail, MAX_DETAIL))),
        ),
        ("registry", json!(registry)),
    ]
    .into_iter()
}

fn container(container: &Container) -> Value {
    json!({
        "name": container.name,
        "image": container.image,
        "from": container.from.as_ref().map(version),
        "to": container.to.as_ref().map(version),
    })
}

fn version(version: &Version) -> Value {
    let label = |of: fn(&ImageLabels) -> Option<&str>| {
        let label = version.labels.as_deref().and_then(of);
        label.and_then(|label| readable(label, MAX_LABEL))
    };
    json!({
        "digest": version.digest.to_string(),
        "version": label(|labels| labels.version.as_deref()),
        "revision": label(|labels| labels.revision.as_deref()),
        "source": label(|labels| labels.source.as_deref().filter(|source| is_link(source))),
        "created": label(|labels| labels.created.as_deref()),
    })
}
