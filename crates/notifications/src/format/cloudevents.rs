//! `CloudEvents` 1.0 in structured mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#32-structured-content-mode>).

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::json;
use crate::message::Message;

pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// The event, with the data of a webhook.
pub(super) fn of(message: &Message, cluster: &str) -> Value {
    let workload = &message.first.workload;
    json!({
        "specversion": "1.0",
        "id": message.id(),
        "source": source(cluster),
        "type": message.event.cloud_event_type(),
        "subject": format!("{}/{}/{}", workload.namespace, workload.kind, workload.name),
        "time": message.at().to_string(),
        "datacontenttype": "application/json",
        "data": json::of(message, cluster),
    })
}

/// The URI reference of the controller in a cluster.
fn source(cluster: &str) -> String {
    if cluster.is_empty() {
        return "/kube-autorollout".to_owned();
    }
    let mut source = "/clusters/".to_owned();
    for byte in cluster.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            source.push(byte.into());
        } else {
            let _ = write!(source, "%{byte:02X}"); // writing to a String cannot fail
        }
    }
    source + "/kube-autorollout"
}
