//! The field manager that last wrote a workload's pod template.

use std::time::Duration;

use kube::{Client, ResourceExt as _, core::PartialObjectMeta};
use tokio::time;
use tracing::debug;

use super::{api, by_name};
use crate::{
    constants,
    error_chain::Chain,
    workload::{Object, Workload},
};

/// Timeout of the request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The last field manager of the pod template other than ours; `None` on failure, as the name is only reported.
///
/// The watch strips managed fields, so this takes a request.
pub(crate) async fn last(client: &Client, workload: &Workload) -> Option<String> {
    let (api, parameters) = (api(client, workload), by_name(workload));
    match time::timeout(TIMEOUT, api.list_metadata(&parameters)).await {
        Ok(Ok(listed)) => listed.items.first().and_then(last_manager),
        Ok(Err(error)) => {
            let error = Chain(&error);
            debug!("cannot read the field managers of the pod template: {error}");
            None
        }
        Err(_) => None,
    }
}

fn last_manager(object: &PartialObjectMeta<Object>) -> Option<String> {
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

    fn manager(entries: &Value) -> Option<String> {
        let object = json!({ "metadata": { "name": "web", "managedFields": entries } });
        let object: PartialObjectMeta<Object> = serde_json::from_value(object).expect("metadata");
        last_manager(&object)
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
    fn the_last_field_manager_of_the_template_other_than_ours_is_reported() {
        assert_eq!(manager(&json!([])), None);
        let ours = entry(constants::NAME, 9, "f:template");
        assert_eq!(manager(&json!([ours])), None);
        let entries = json!([
            entry("installer", 1, "f:template"),
            entry("operator", 2, "f:template"),
            entry("autoscaler", 3, "f:replicas"),
            ours,
        ]);
        assert_eq!(manager(&entries).as_deref(), Some("operator"));
    }
}
