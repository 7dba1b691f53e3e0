//! The bodies of requests, in the format of each service.

mod cloudevents;
mod json;
mod slack;
mod teams;

use serde_json::Value;

use crate::{card::Card, message::Message, sink::SinkType};

const JSON: &str = "application/json";

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// JSON in UTF-8.
    pub bytes: Vec<u8>,
}

impl Message {
    /// Renders the message for a type of sink. `cluster` may be empty.
    pub fn body(&self, kind: SinkType, cluster: &str) -> Body {
        match kind {
            SinkType::Webhook => Body::new(JSON, &json::of(self, cluster)),
            SinkType::CloudEvents => {
                Body::new(cloudevents::CONTENT_TYPE, &cloudevents::of(self, cluster))
            }
            SinkType::Slack => fitting(self, cluster, slack::of, slack::fits),
            SinkType::Teams => fitting(self, cluster, teams::of, teams::fits),
        }
    }
}

impl Body {
    fn new(content_type: &'static str, value: &Value) -> Self {
        Self {
            content_type,
            bytes: value.to_string().into_bytes(),
        }
    }
}

/// The numbers of workloads to try, in order.
const MAX_WORKLOADS: [usize; 6] = [50, 25, 12, 6, 3, 1];

/// Renders as many workloads as the service accepts.
fn fitting(
    message: &Message,
    cluster: &str,
    render: fn(&Card) -> Value,
    fits: fn(&Card, &Value) -> bool,
) -> Body {
    let mut value = Value::Null;
    for max_workloads in MAX_WORKLOADS {
        let card = Card::of(message, cluster, max_workloads);
        value = render(&card);
        if fits(&card, &value) {
            break;
        }
    }
    Body::new(JSON, &value)
}
