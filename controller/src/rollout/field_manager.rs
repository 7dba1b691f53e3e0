//! Who else writes the pod template of a workload.

use std::time::Duration;

use kube::{Api, Client, ResourceExt as _, api::ListParams, core::PartialObjectMeta};
use tokio::time;
use tracing::debug;

use crate::{
    constants,
    error_chain::Chain,
    workload::{Object, Workload},
};

/// After which nobody is named.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The field manager, other than ours, that was the last to change what it has in the pod template; nothing where the
/// API server does not report it, as the name is for a text and nothing depends on it.
///
/// Managed fields are stripped from what is watched, so this is a request: a list, as no role of ours permits `get`.
pub(crate) async fn of(client: &Client, workload: &Workload) -> Option<String> {
    let kind = &workload.kind;
    let api: Api<Object> = Api::namespaced_with(client.clone(), workload.namespace(), kind);
    let name = workload.meta().name.as_deref().unwrap_or_default();
    let name = format!("metadata.name={name}");
    let parameters = ListParams::default().fields(&name);
    match time::timeout(TIMEOUT, api.list_metadata(&parameters)).await {
        Ok(Ok(listed)) => listed.items.first().and_then(last),
        Ok(Err(error)) => {
            debug!(
                "cannot find out who else writes the template: {}",
                Chain(&error)
            );
            None
        }
        Err(_) => None,
    }
}

fn last(object: &PartialObjectMeta<Object>) -> Option<String> {
    let entries = object.managed_fields().iter();
    let of_template = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref();
        let template = fields.and_then(|fields| fields.0.pointer("/f:spec/f:template"));
        template.is_some() && entry.subresource.is_none()
    });
    let others = of_template.filter(|entry| entry.manager.as_deref() != Some(constants::NAME));
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    last.manager.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn writer(entries: &Value) -> Option<String> {
        let object = json!({ "metadata": { "name": "web", "managedFields": entries } });
        let object: PartialObjectMeta<Object> = serde_json::from_value(object).expect("metadata");
        last(&object)
    }

    fn entry(manager: &str, minute: u32, field: &str) -> Value {
        json!({
            "manager": manager,
            "operation": "Update",
            "time": format!("2026-01-01T00:{minute:02}:00Z"),
            "fieldsV1": { "f:spec": { field: {} } },
        })
    }

    #[test]
    fn who_wrote_the_template_last_is_named_and_never_we_ourselves() {
        assert_eq!(writer(&json!([])), None);
        let ours = entry(constants::NAME, 9, "f:template");
        assert_eq!(writer(&json!([ours])), None);
        let entries = json!([
            entry("installer", 1, "f:template"),
            entry("operator", 2, "f:template"),
            entry("autoscaler", 3, "f:replicas"),
            ours,
        ]);
        assert_eq!(writer(&entries).as_deref(), Some("operator"));
    }
}
